using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>A text that arrives piece by piece.</summary>
public sealed class IncomingTextStream : IFfiEventSink, IDisposable
{
    // Pieces are at most some 15 kB each; a reader this far behind has stopped reading.
    private const int MaxWaitingPieces = 1024;

    private readonly FfiClient _client;
    private readonly FfiHandle _handle;
    private readonly Channel<string> _pieces = Channel.CreateBounded<string>(new BoundedChannelOptions(MaxWaitingPieces) { SingleReader = true });

    internal IncomingTextStream(FfiClient client, OwnedTextStreamReader owned, string senderIdentity)
    {
        (_client, SenderIdentity) = (client, senderIdentity);
        _handle = new FfiHandle(owned.Handle);
        (StreamId, Topic, MimeType) = (owned.Info.StreamId, owned.Info.Topic, owned.Info.MimeType);
        Timestamp = DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Clamp(owned.Info.Timestamp, 0, 253_402_300_799_000));
        ReplyToStreamId = owned.Info.HasReplyToStreamId ? owned.Info.ReplyToStreamId : null;
        Attributes = new Dictionary<string, string>(owned.Info.Attributes, StringComparer.Ordinal);
        client.Listen(_handle.Id, this);
        client.Send(new FfiRequest { TextReadIncremental = new TextStreamReaderReadIncrementalRequest { ReaderHandle = _handle.Id } });
    }

    public string StreamId { get; }

    public string SenderIdentity { get; }

    public string Topic { get; }

    public string MimeType { get; }

    public DateTimeOffset Timestamp { get; }

    public string? ReplyToStreamId { get; }

    public IReadOnlyDictionary<string, string> Attributes { get; }

    /// <summary>The pieces as they come.</summary>
    /// <exception cref="RtcException">The stream broke off, or the reader was too slow.</exception>
    public async IAsyncEnumerable<string> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var piece in _pieces.Reader.ReadAllAsync(cancellationToken))
        {
            yield return piece;
        }
    }

    /// <summary>The whole text.</summary>
    /// <param name="maxLength">In characters; a longer text is refused.</param>
    /// <exception cref="RtcException">The stream broke off or is too long.</exception>
    public async Task<string> ReadAllAsync(int maxLength, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        await foreach (var piece in _pieces.Reader.ReadAllAsync(cancellationToken))
        {
            text.Append(text.Length + piece.Length <= maxLength ? piece : throw new RtcException($"The text is longer than {maxLength} characters."));
        }

        return text.ToString();
    }

    public void Dispose()
    {
        _client.Unlisten(_handle.Id);
        _handle.Dispose();
        _pieces.Writer.TryComplete(new RtcException("The text stream has been closed."));
    }

    void IFfiEventSink.Post(FfiEvent ffiEvent)
    {
        var received = ffiEvent.TextStreamReaderEvent;
        if (received.ChunkReceived is { } chunk)
        {
            if (!_pieces.Writer.TryWrite(chunk.Content))
            {
                _pieces.Writer.TryComplete(new RtcException("The text came faster than it was read."));
            }
        }
        else if (received.Eos is { } end)
        {
            _pieces.Writer.TryComplete(end.Error is null ? null : new RtcException($"The text stream broke off: {end.Error.Description}"));
        }
    }
}

/// <summary>A text that is sent piece by piece.</summary>
public sealed class OutgoingTextStream : IAsyncDisposable
{
    private readonly FfiClient _client;
    private readonly FfiHandle _handle;
    private bool _closed;

    internal OutgoingTextStream(FfiClient client, OwnedTextStreamWriter owned)
    {
        (_client, _handle, StreamId) = (client, new FfiHandle(owned.Handle), owned.Info.StreamId);
    }

    public string StreamId { get; }

    /// <exception cref="RtcException">The connection is gone.</exception>
    public async Task WriteAsync(string text, CancellationToken cancellationToken)
    {
        var asyncId = _client.NextAsyncId();
        var request = new TextStreamWriterWriteRequest { WriterHandle = _handle.Id, Text = text, RequestAsyncId = asyncId };
        var done = await _client.CallAsync(new FfiRequest { TextStreamWrite = request }, asyncId).WaitAsync(cancellationToken);
        if (done.TextStreamWriterWrite.Error is { } error)
        {
            throw new RtcException($"The text could not be sent: {error.Description}");
        }
    }

    /// <summary>Ends the stream; the receivers learn of these attributes with its end.</summary>
    public async Task CloseAsync(IReadOnlyDictionary<string, string>? attributes, CancellationToken cancellationToken)
    {
        if (_closed)
        {
            return;
        }

        _closed = true;
        var asyncId = _client.NextAsyncId();
        var request = new TextStreamWriterCloseRequest { WriterHandle = _handle.Id, RequestAsyncId = asyncId };
        foreach (var (key, value) in attributes ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            request.Attributes[key] = value;
        }

        try
        {
            var done = await _client.CallAsync(new FfiRequest { TextStreamClose = request }, asyncId).WaitAsync(cancellationToken);
            if (done.TextStreamWriterClose.Error is { } error)
            {
                throw new RtcException($"The text stream could not be closed: {error.Description}");
            }
        }
        finally
        {
            // The library takes the writer with the close request.
            _handle.Dispose();
        }
    }

    /// <summary>Ends the stream if nobody has; a failure to do so is of no more interest.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await CloseAsync(attributes: null, CancellationToken.None);
        }
        catch (Exception e) when (e is RtcException or ObjectDisposedException)
        {
            // The room went first, and the stream with it.
        }
    }
}
