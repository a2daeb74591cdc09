using System.Net.WebSockets;
using System.Threading.Channels;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.Worker;

/// <summary>One connection of the worker protocol: whole messages in and out, one sender, bounded in both directions.</summary>
internal sealed class WorkerConnection : IAsyncDisposable
{
    private const int MaxMessageLength = 1024 * 1024;

    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(2);

    private readonly ClientWebSocket _socket = new();
    private readonly Channel<WorkerMessage> _outbox;
    private readonly TimeProvider _clock;
    private readonly byte[] _buffer = new byte[16 * 1024];

    public WorkerConnection(int sendQueue, TimeProvider clock)
    {
        _clock = clock;
        _outbox = Channel.CreateBounded<WorkerMessage>(new BoundedChannelOptions(sendQueue) { SingleReader = true });
    }

    /// <exception cref="WebSocketException">Refused or not reachable.</exception>
    public async Task ConnectAsync(Uri url, string token, CancellationToken cancellationToken)
    {
        _socket.Options.SetRequestHeader("Authorization", "Bearer " + token);
        await _socket.ConnectAsync(url, cancellationToken);
    }

    /// <summary>Queues a message; false when the server does not read, which ends the connection.</summary>
    public bool TrySend(WorkerMessage message) => _outbox.Writer.TryWrite(message);

    /// <summary>Sends what is queued until <see cref="FinishSending"/> or cancellation.</summary>
    public async Task SendAllAsync(CancellationToken cancellationToken)
    {
        await foreach (var message in _outbox.Reader.ReadAllAsync(cancellationToken))
        {
            await SendAsync(message, cancellationToken);
        }
    }

    /// <summary>Sends a message past the queue; only before <see cref="SendAllAsync"/> runs, for a socket has one sender.</summary>
    public Task SendAsync(WorkerMessage message, CancellationToken cancellationToken) =>
        _socket.SendAsync(message.ToByteArray(), WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);

    /// <summary>What is queued is sent, and nothing more: not that the server does not read.</summary>
    public bool IsFinishing { get; private set; }

    public void FinishSending()
    {
        IsFinishing = true;
        _outbox.Writer.TryComplete();
    }

    /// <summary>The next message; null when the server closed the connection.</summary>
    /// <exception cref="WebSocketException">The connection broke, or the server sent something that is not a message.</exception>
    public async Task<ServerMessage?> ReceiveAsync(CancellationToken cancellationToken)
    {
        using var message = new MemoryStream();
        while (true)
        {
            var received = await _socket.ReceiveAsync(_buffer.AsMemory(), cancellationToken);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return null;
            }

            message.Write(_buffer, 0, received.Count);
            if (message.Length > MaxMessageLength)
            {
                throw new WebSocketException("The server's message is too long.");
            }

            if (received.EndOfMessage)
            {
                return Parse(message, received.MessageType);
            }
        }
    }

    public Task SayGoodbyeAsync(CancellationToken cancellationToken) =>
        _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        using var late = new CancellationTokenSource(CloseTimeout, _clock);
        try
        {
            if (_socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            {
                await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, late.Token);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It was broken already.
        }

        _socket.Dispose();
    }

    private static ServerMessage Parse(MemoryStream message, WebSocketMessageType type)
    {
        try
        {
            message.Position = 0;
            return type == WebSocketMessageType.Binary
                ? ServerMessage.Parser.ParseFrom(message)
                : ServerMessage.Parser.ParseJson(System.Text.Encoding.UTF8.GetString(message.GetBuffer(), 0, (int)message.Length));
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException or InvalidOperationException or FormatException)
        {
            throw new WebSocketException("The server's message is not readable.", e);
        }
    }
}
