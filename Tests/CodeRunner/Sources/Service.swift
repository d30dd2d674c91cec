// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitAsync
internal import Glibc
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore

/// The context of a request.
struct RunnerContext: RequestContext {
    var coreContext: CoreRequestContextStorage

    init(source: Source) {
        coreContext = CoreRequestContextStorage(source: source)
    }

    /// A larger body gets status 413.
    ///
    /// A character may take six bytes in JSON.
    var maxUploadSize: Int { 8 << 20 }
}

/// What `GET /` tells.
private struct Occupancy: ResponseEncodable {
    var running: Int
    var waiting: Int
    var peak: Int
    var ended: Int
}

/// The web service.
func service(_ runner: Runner, _ options: Options) -> some ApplicationProtocol {
    let router = Router(context: RunnerContext.self)
    router.get("/") { _, _ in
        let counts = runner.slots.counts
        return Occupancy(
            running: counts.running, waiting: counts.waiting, peak: counts.peak,
            ended: counts.ended)
    }
    router.post("run") { request, context in
        try await run(request, context, runner)
    }
    var logger = Logger(label: "code-runner") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .notice
    // Each connection may hold a body in memory: a few more than can be answered get their 503.
    let connections = options.sandboxes + options.waiting + 64
    return Application(
        router: router,
        configuration: ApplicationConfiguration(
            address: .hostname(options.host, port: options.port), backlog: 1024,
            availableConnectionsDelegate: MaximumAvailableConnections(connections)),
        onServerRunning: { channel in
            print("listening on \(options.host):\(channel.localAddress?.port ?? options.port)")
            // For who waits for this line at the other end of a pipe.
            fflush(nil)
        },
        logger: logger)
}

/// Answers a submission.
private func run(_ request: Request, _ context: RunnerContext, _ runner: Runner) async throws
    -> Response
{
    do {
        // If the client hangs up, its program is ended.
        let verdict = try await request.body.consumeWithCancellationOnInboundClose { body in
            var request = request
            request.body = body
            let submission = try await request.decode(as: Submission.self, context: context)
            return try await runner.run(submission)
        }
        var response = try context.responseEncoder.encode(
            verdict, from: request, context: context)
        // Who waits for the end of a connection cannot read a second request from it.
        response.headers[.connection] = "close"
        return response
    } catch is Slots.Busy {
        throw HTTPError(
            .serviceUnavailable, headers: [.retryAfter: "1"],
            message: "all sandboxes are in use, and as many programs wait as may")
    } catch let error as ContainerError where error.code == .executableNotFound {
        throw HTTPError(.unprocessableContent, message: "interpreter: \(error)")
    } catch let error as ContainerError {
        // It may name paths of the host.
        context.logger.error("\(error)", metadata: error.hint.map { ["hint": "\($0)"] })
        throw HTTPError(.internalServerError, message: "the sandbox could not be made")
    }
}
