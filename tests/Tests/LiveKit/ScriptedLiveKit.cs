using System.Net.WebSockets;
using System.Threading.Channels;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Tests.LiveKit;

/// <summary>The server's side of the worker protocol, played by the test over a real socket.</summary>
internal sealed class ScriptedLiveKit : IAsyncDisposable
{
    public static readonly ApiKey Key = new("APIkey", "a secret of at least thirty-two bytes");

    private readonly Microsoft.AspNetCore.Builder.WebApplication _app;
    private readonly Channel<Peer> _peers = Channel.CreateBounded<Peer>(16);

    private ScriptedLiveKit()
    {
        var builder = Microsoft.AspNetCore.Builder.WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.UseWebSockets();
        _app.Map("/agent", async context =>
        {
            var token = context.Request.Headers.Authorization.ToString()["Bearer ".Length..];
            Assert.That(new TokenVerifier(Key, TimeProvider.System).TryVerify(token, out var verified, out var refusal), Is.True, refusal);
            Assert.That(verified!.Token.Video!.Agent, Is.True);
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            var peer = new Peer(socket);
            await _peers.Writer.WriteAsync(peer);
            await peer.Done;
        });
    }

    public LiveKitServer Server => LiveKitServer.Create(
        _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single(), Key);

    public static async Task<ScriptedLiveKit> StartAsync()
    {
        var server = new ScriptedLiveKit();
        await server._app.StartAsync();
        return server;
    }

    /// <summary>The next connection of a worker.</summary>
    public async Task<Peer> AcceptAsync() => await _peers.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System);

    /// <summary>The next connection, registered.</summary>
    public async Task<Peer> RegisterAsync(string workerId = "AW_1")
    {
        var peer = await AcceptAsync();
        await peer.ReceiveAsync(WorkerMessage.MessageOneofCase.Register);
        await peer.SendAsync(new ServerMessage { Register = new RegisterWorkerResponse { WorkerId = workerId } });
        return peer;
    }

    public async ValueTask DisposeAsync()
    {
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        await _app.StopAsync(impatient.Token);
        await _app.DisposeAsync();
    }

    internal sealed class Peer(WebSocket socket)
    {
        private readonly TaskCompletionSource _done = new();

        public Task Done => _done.Task;

        public Task SendAsync(ServerMessage message) => SendAsync(message.ToByteArray());

        public Task SendAsync(byte[] message) => socket.SendAsync(message, WebSocketMessageType.Binary, endOfMessage: true, default);

        public async Task OfferAsync(string jobId) =>
            await SendAsync(new ServerMessage { Availability = new AvailabilityRequest { Job = new Job { Id = jobId, Room = new Room { Name = "room-" + jobId } } } });

        public async Task AssignAsync(string jobId) =>
            await SendAsync(new ServerMessage { Assignment = new JobAssignment { Job = new Job { Id = jobId, Room = new Room { Name = "room-" + jobId } }, Token = "token-" + jobId } });

        /// <summary>The next message of this kind, passing over others; null when the worker closed the connection.</summary>
        public async Task<WorkerMessage?> ReceiveAsync(WorkerMessage.MessageOneofCase kind)
        {
            while (await ReceiveAsync() is { } message)
            {
                if (message.MessageCase == kind)
                {
                    return message;
                }
            }

            return null;
        }

        public async Task<UpdateJobStatus> ReceiveJobStatusAsync() => (await ReceiveAsync(WorkerMessage.MessageOneofCase.UpdateJob))!.UpdateJob;

        /// <summary>Breaks the connection without a goodbye.</summary>
        public void Break()
        {
            socket.Abort();
            _done.TrySetResult();
        }

        private async Task<WorkerMessage?> ReceiveAsync()
        {
            using var late = new CancellationTokenSource(TimeSpan.FromSeconds(10), TimeProvider.System);
            var buffer = new byte[64 * 1024];
            var received = await socket.ReceiveAsync(buffer, late.Token);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, late.Token);
                _done.TrySetResult();
                return null;
            }

            return WorkerMessage.Parser.ParseFrom(buffer, 0, received.Count);
        }
    }
}
