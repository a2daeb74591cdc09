using System.Net.WebSockets;
using System.Threading.Channels;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Signal;

/// <summary>
/// One client's signalling socket. Messages may be queued from anywhere, also before the socket is there; one writer sends them in
/// order. The queue is bounded: a client that does not read is cut off (<see cref="IsOverrun"/>) and may resume.
/// </summary>
#pragma warning disable CA1001 // the token source has no timer and no handle; Abort may come after the end
internal sealed partial class SignalConnection(ILogger log)
#pragma warning restore CA1001
{
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(2);

    private readonly Channel<ReadOnlyMemory<byte>> _outgoing = Channel.CreateBounded<ReadOnlyMemory<byte>>(
        new BoundedChannelOptions(Limits.SignalQueue) { SingleReader = true });

    private readonly CancellationTokenSource _aborted = new();
    private long _queuedBytes;

    /// <summary>The client did not keep up and was cut off.</summary>
    public bool IsOverrun { get; private set; }

    /// <summary>Queues a message. False when the connection is ending or the client is too far behind.</summary>
    public bool Send(SignalResponse message) => Send(message.ToByteArray());

    /// <summary>Queues an encoded <see cref="SignalResponse"/>, so that one encoding serves many clients.</summary>
    public bool Send(ReadOnlyMemory<byte> frame)
    {
        // A message that is large by itself (a room full of metadata) is sent; a queue of such is not kept.
        var waiting = Interlocked.Add(ref _queuedBytes, frame.Length);
        var isTooMuch = waiting > Limits.SignalQueueBytes && waiting > frame.Length;
        if (!isTooMuch && _outgoing.Writer.TryWrite(frame))
        {
            return true;
        }

        Interlocked.Add(ref _queuedBytes, -frame.Length);
        if (isTooMuch || (!_outgoing.Reader.Completion.IsCompleted && _outgoing.Reader.CanCount && _outgoing.Reader.Count >= Limits.SignalQueue))
        {
            IsOverrun = true;
            Abort();
        }

        return false;
    }

    /// <summary>Sends what is queued, then closes the socket.</summary>
    public void Close() => _outgoing.Writer.TryComplete();

    /// <summary>Drops the socket at once.</summary>
    public void Abort()
    {
        _outgoing.Writer.TryComplete();

        // Not here and now: what hangs on the token must not run inside the room's loop.
        _ = _aborted.CancelAsync();
    }

    /// <summary>
    /// Serves the socket until either side ends it.
    /// </summary>
    /// <param name="receive">Called with every message of the client, one after the other.</param>
    public async Task RunAsync(WebSocket socket, Func<SignalRequest, ValueTask> receive, TimeProvider clock, CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(_aborted.Token, stopping);
        var writing = WriteAsync(socket, ending.Token);
        var reading = ReadAsync(socket, receive, ending.Token);
        try
        {
            await Task.WhenAny(writing, reading);
            _outgoing.Writer.TryComplete();
            using var patience = new CancellationTokenSource(CloseTimeout, clock);
            var both = Task.WhenAll(writing, reading);
            await both.WaitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!both.IsCompleted)
            {
                await ending.CancelAsync();
                await both.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await SocketFrames.LingerAsync(socket, clock);
        }
        finally
        {
            socket.Abort();
        }
    }

    private async Task WriteAsync(WebSocket socket, CancellationToken stopping)
    {
        try
        {
            await foreach (var frame in _outgoing.Reader.ReadAllAsync(stopping))
            {
                await socket.SendAsync(frame, WebSocketMessageType.Binary, endOfMessage: true, stopping);
                Interlocked.Add(ref _queuedBytes, -frame.Length);
            }

            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, stopping);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            _outgoing.Writer.TryComplete();
        }
    }

    private async Task ReadAsync(WebSocket socket, Func<SignalRequest, ValueTask> receive, CancellationToken stopping)
    {
        try
        {
            while (await SocketFrames.ReadAsync(socket, Limits.SignalMessageBytes, stopping) is { } frame)
            {
                SignalRequest request;
                try
                {
                    request = SignalRequest.Parser.ParseFrom(frame.Memory.Span[..frame.Length]);
                }
                catch (InvalidProtocolBufferException)
                {
                    LogMalformed(log);
                    await socket.CloseOutputAsync(WebSocketCloseStatus.InvalidPayloadData, "malformed SignalRequest", stopping);
                    return;
                }
                finally
                {
                    frame.Dispose();
                }

                await receive(request);
            }
        }
        catch (SocketFrames.RefusedException e)
        {
            await socket.CloseOutputAsync(e.Status, e.Message, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The socket broke or was aborted: the room sees the connection end and decides.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A client sent a malformed signal message; its socket was closed")]
    private static partial void LogMalformed(ILogger log);
}
