using System.Collections.Concurrent;
using System.Net.WebSockets;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>A worker that does what the test says.</summary>
internal sealed class WorkerClient : IAsyncDisposable
{
    private readonly ClientWebSocket _socket;
    private readonly ConcurrentQueue<ServerMessage> _received = new();
    private readonly Task _reading;

    private WorkerClient(ClientWebSocket socket)
    {
        _socket = socket;
        _reading = ReadAsync();
    }

    public RegisterWorkerResponse Registered { get; private set; } = new();

    public WebSocketCloseStatus? CloseStatus => _socket.CloseStatus;

    public IReadOnlyCollection<ServerMessage> Received => _received;

    public static async Task<WorkerClient> ConnectAsync(TestServer server)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {TestServer.Token(new VideoGrant { Agent = true })}");
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{server.Server.Port}/agent"), CancellationToken.None);
        return new WorkerClient(socket);
    }

    public static async Task<WorkerClient> RegisterAsync(TestServer server, string agentName, JobType type = JobType.JtRoom)
    {
        var worker = await ConnectAsync(server);
        await worker.SendAsync(new WorkerMessage
        {
            Register = new RegisterWorkerRequest
            {
                Type = type,
                AgentName = agentName,
                Version = "1.9.0",
                AllowedPermissions = new ParticipantPermission { CanPublish = true, CanSubscribe = true, CanPublishData = true, CanUpdateMetadata = true, Agent = true },
            },
        });
        worker.Registered = (await worker.NextAsync(ServerMessage.MessageOneofCase.Register)).Register;
        return worker;
    }

    public Task SendAsync(WorkerMessage message) => SendRawAsync(message.ToByteArray());

    public Task SendRawAsync(byte[] bytes) => _socket.SendAsync(bytes, WebSocketMessageType.Binary, endOfMessage: true, CancellationToken.None);

    public Task AcceptAsync(string job) => SendAsync(new WorkerMessage
    {
        Availability = new AvailabilityResponse
        {
            JobId = job,
            Available = true,
            ParticipantIdentity = $"agent-{job}",
            ParticipantAttributes = { ["lk.agent.name"] = "tester" },
        },
    });

    /// <summary>Returns when the server has handled everything sent so far.</summary>
    public async Task FlushAsync()
    {
        await SendAsync(new WorkerMessage { Ping = new WorkerPing { Timestamp = 1 } });
        await NextAsync(ServerMessage.MessageOneofCase.Pong);
    }

    public async Task<ServerMessage> NextAsync(ServerMessage.MessageOneofCase kind)
    {
        ServerMessage? found = null;
        await TestServer.Until(
            () =>
            {
                while (_received.TryDequeue(out var next))
                {
                    if (next.MessageCase == kind)
                    {
                        found = next;
                        return true;
                    }
                }

                return false;
            },
            $"{kind}");
        return found!;
    }

    public Task ClosedAsync() => TestServer.Until(() => _reading.IsCompleted, "the socket closes");

    public void Cut() => _socket.Abort();

    public async ValueTask DisposeAsync()
    {
        _socket.Abort();
        await _reading;
        _socket.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var part = await _socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
                if (part.MessageType is WebSocketMessageType.Close)
                {
                    await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    return;
                }

                _received.Enqueue(ServerMessage.Parser.ParseFrom(buffer.AsSpan(0, part.Count)));
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The test cut it, or the server did.
        }
    }
}
