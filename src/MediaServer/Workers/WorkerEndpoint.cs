using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Signal;

namespace VoicePlatform.MediaServer.Workers;

/// <summary><c>/agent</c>: where agent workers register.</summary>
internal sealed class WorkerEndpoint(AgentDispatcher dispatcher, Callers callers, ServerInfo server, TimeProvider clock, ILoggerFactory logs)
{
    private readonly ILogger _log = logs.CreateLogger<AgentWorker>();

    public async Task ConnectAsync(HttpContext context, CancellationToken stopping)
    {
        if (!callers.TryVerify(Callers.TokenOf(context.Request), out var caller, out var refusal))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            await context.Response.WriteAsync(refusal, context.RequestAborted);
        }
        else if (caller.Token.Video is not { Agent: true })
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            await context.Response.WriteAsync("permissions denied", context.RequestAborted);
        }
        else if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            await context.Response.WriteAsync("this is a WebSocket endpoint", context.RequestAborted);
        }
        else
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
            {
                KeepAliveInterval = TimeSpan.FromSeconds(10),
                KeepAliveTimeout = TimeSpan.FromSeconds(15),
            });
            await new AgentWorker(socket, caller.ApiKeyId, dispatcher, server, clock, _log).RunAsync(stopping);
        }
    }
}
