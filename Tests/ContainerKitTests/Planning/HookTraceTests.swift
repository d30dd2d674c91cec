// SPDX-License-Identifier: Apache-2.0

import InitProgram
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("The variable of a trace for hooks")
struct HookTraceTests {
    private func environment(
        _ own: [String]?, inheriting inherited: [ByteText]?, _ variable: ByteText?
    ) -> [ByteText]? {
        Hooks(poststart: [Hook(path: "/hook", env: own)])
            .planned(.poststart, inheriting: inherited, tracedBy: variable)[0].environment
    }

    @Test("a hook's own TRACEPARENT stays; any other environment gets that of the trace")
    func hooks() {
        let variable: ByteText = "TRACEPARENT=new"
        #expect(environment(["A=b"], inheriting: nil, variable) == ["A=b", variable])
        #expect(
            environment(["TRACEPARENT=own"], inheriting: ["B=c"], variable)
                == ["TRACEPARENT=own"])
        #expect(
            environment(nil, inheriting: ["TRACEPARENT=old", "B=c"], variable)
                == ["B=c", variable])
        #expect(environment(nil, inheriting: nil, variable) == nil)
        #expect(environment(nil, inheriting: ["TRACEPARENT=old"], nil) == ["TRACEPARENT=old"])
        #expect(environment(["A=b"], inheriting: nil, nil) == ["A=b"])
    }
}
