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

    @Test("an inherited TRACESTATE stays only beside the trace that it came with")
    func state() {
        func variable(_ trace: Character) -> ByteText {
            ByteText("TRACEPARENT=00-\(String(repeating: trace, count: 32))-00f067aa0ba902b7-01")
        }
        let state: ByteText = "TRACESTATE=vendor=1"
        let own = variable("a")
        let same: ByteText = ByteText(own.description.replacing("00f067aa", with: "11f067aa"))
        #expect(environment(nil, inheriting: [own, state], same) == [state, same])
        #expect(environment(nil, inheriting: [variable("b"), state], own) == [own])
        #expect(environment(nil, inheriting: ["TRACEPARENT=", state], own) == [own])
        #expect(environment(nil, inheriting: [state], own) == [own])
        #expect(environment(["TRACESTATE=own"], inheriting: nil, own) == ["TRACESTATE=own", own])
        #expect(environment(nil, inheriting: [own, state], nil) == [own, state])
    }
}
