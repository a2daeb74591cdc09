using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// One TCP or TLS connection: a task that reads and frames, a task that writes from a bounded queue. A peer that does not read what it
/// is sent is cut off when the queue is full.
/// </summary>
internal sealed class StreamConnection : Flow, IAsyncDisposable
{
    private const int WriteQueue = 64;
    private const int FirstBuffer = 4_096;

    private static readonly byte[] Pong = "\r\n"u8.ToArray();
    private static readonly byte[] PingBytes = "\r\n\r\n"u8.ToArray();

    private readonly Stream _stream;
    private readonly IMessageSink _sink;
    private readonly UserAgentCounters _counters;
    private readonly TimeProvider _clock;
    private readonly int _maxMessage;
    private readonly Channel<ReadOnlyMemory<byte>> _out = Channel.CreateBounded<ReadOnlyMemory<byte>>(new BoundedChannelOptions(WriteQueue) { SingleReader = true });
    private readonly CancellationTokenSource _closed = new();
    private int _holders;
    private readonly long _openedAt;
    private long _heardAt;
    private long _partSince;        // 0: between messages
    private long _sentAt;
    private Task _running = Task.CompletedTask;

    public StreamConnection(Stream stream, SipTransport transport, IPEndPoint remote, bool isInbound, int maxMessage, IMessageSink sink, UserAgentCounters counters, TimeProvider clock)
    {
        (_stream, _sink, _counters, _clock, _maxMessage) = (stream, sink, counters, clock, maxMessage);
        (Transport, Remote, IsInbound) = (transport, remote, isInbound);
        _openedAt = _heardAt = _sentAt = clock.GetTimestamp();
        Closed = _closed.Token;
    }

    public override SipTransport Transport { get; }

    public override IPEndPoint Remote { get; }

    public override bool IsInbound { get; }

    public override bool IsOpen => !Closed.IsCancellationRequested;

    public override CancellationToken Closed { get; }

    public bool IsHeld => Volatile.Read(ref _holders) > 0;

    /// <summary>Whether anything it sent was SIP.</summary>
    public bool HasSpoken { get; private set; }

    /// <summary>How long it has been due: a message whose first part is here, or the first message of all.</summary>
    public TimeSpan OverdueFor => Volatile.Read(ref _partSince) is not 0 and var since ? _clock.GetElapsedTime(since)
        : IsInbound && !HasSpoken ? _clock.GetElapsedTime(_openedAt)
        : TimeSpan.Zero;

    public TimeSpan UnusedFor => _clock.GetElapsedTime(Math.Max(Volatile.Read(ref _heardAt), Volatile.Read(ref _sentAt)));

    /// <summary>Reads until either side closes; <paramref name="onClosed"/> runs once then.</summary>
    public void Start(Action<StreamConnection> onClosed) => _running = RunAsync(onClosed);

    public override bool TrySend(ReadOnlyMemory<byte> message)
    {
        if (!IsOpen)
        {
            return false;
        }

        if (_out.Writer.TryWrite(message))
        {
            Volatile.Write(ref _sentAt, _clock.GetTimestamp());
            return true;
        }

        _counters.Count(ref _counters.SendFailed);
        Close();
        return false;
    }

    public void Ping() => TrySend(PingBytes);

    public override void Hold() => Interlocked.Increment(ref _holders);

    public override void Release() => Interlocked.Decrement(ref _holders);

    /// <summary>Ends both tasks; what waits to be written is lost.</summary>
    public void Close()
    {
        try
        {
            _closed.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // Closed already.
        }
    }

    /// <summary>Writes what waits, then closes.</summary>
    public async ValueTask DisposeAsync()
    {
        _out.Writer.TryComplete();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _closed.Dispose();
    }

    private async Task RunAsync(Action<StreamConnection> onClosed)
    {
        await Task.Yield();
        var writing = WriteAsync();
        var reading = ReadAsync();
        await Task.WhenAny(writing, reading);
        Close();
        await _stream.DisposeAsync();
        await Task.WhenAll(writing, reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        onClosed(this);
    }

    private async Task WriteAsync()
    {
        try
        {
            await foreach (var message in _out.Reader.ReadAllAsync(Closed))
            {
                await _stream.WriteAsync(message, Closed);
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The connection is gone; whoever waits for an answer on it hears so by Closed.
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            // Grows with the message that is being received, to the limit of one, and shrinks with the next.
            var buffer = new byte[FirstBuffer];
            var filled = 0;
            while (await _stream.ReadAsync(buffer.AsMemory(filled), Closed) is > 0 and var read)
            {
                filled += read;
                if (!TryTake(buffer, ref filled, out var whole))
                {
                    return;
                }

                Volatile.Write(ref _partSince, filled == 0 ? 0 : whole || _partSince == 0 ? _clock.GetTimestamp() : _partSince);
                if (filled == buffer.Length)
                {
                    Array.Resize(ref buffer, Math.Min(buffer.Length * 2, _maxMessage + 1));
                }
                else if (filled == 0 && buffer.Length > FirstBuffer)
                {
                    buffer = new byte[FirstBuffer];
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // As above.
        }
    }

    /// <summary>Hands on all whole messages; false: the stream cannot be followed any longer.</summary>
    private bool TryTake(byte[] buffer, ref int filled, out bool whole)
    {
        whole = false;
        var at = 0;
        while (true)
        {
            switch (StreamFraming.Next(buffer.AsSpan(at, filled - at), _maxMessage, out var length))
            {
                case Frame.Lost:
                    _counters.Count(ref _counters.Rubbish);
                    return false;
                case Frame.Incomplete:
                    buffer.AsSpan(at, filled - at).CopyTo(buffer);
                    filled -= at;
                    return true;
                case Frame.Ping:
                    Volatile.Write(ref _heardAt, _clock.GetTimestamp());
                    TrySend(Pong);
                    break;
                case Frame.Message:
                    Volatile.Write(ref _heardAt, _clock.GetTimestamp());
                    HasSpoken = whole = true;
                    _sink.OnMessage(buffer.AsSpan(at, length), this);
                    break;
            }

            at += length;
        }
    }
}
