using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>We, in a room.</summary>
public sealed class LocalParticipant : Participant
{
    private readonly FfiClient _client;

    internal LocalParticipant(FfiClient client, OwnedParticipant owned)
        : base(owned) => _client = client;

    internal ConcurrentDictionary<string, Func<RpcInvocation, CancellationToken, Task<string>>> RpcMethods { get; } = new(StringComparer.Ordinal);

    /// <summary>Publishes a source's audio.</summary>
    /// <exception cref="RtcException">Refused, e.g. for want of permission.</exception>
    public async Task<LocalAudioTrack> PublishAudioAsync(AudioSource source, AudioPublishOptions options, CancellationToken cancellationToken)
    {
        var create = new CreateAudioTrackRequest { Name = options.Name, SourceHandle = source.Handle };
        var track = new FfiHandle(_client.Send(new FfiRequest { CreateAudioTrack = create }).CreateAudioTrack.Track.Handle);
        var publish = new PublishTrackRequest
        {
            LocalParticipantHandle = Handle.Id,
            TrackHandle = track.Id,
            RequestAsyncId = _client.NextAsyncId(),
            Options = new TrackPublishOptions { Dtx = options.Dtx, Red = options.Red, Source = (Ffi.TrackSource)(int)options.Source },
        };
        if (options.MaxBitrate is { } bitrate)
        {
            publish.Options.AudioEncoding = new AudioEncoding { MaxBitrate = (ulong)bitrate };
        }

        try
        {
            var done = await CallAsync(new FfiRequest { PublishTrack = publish }, publish.RequestAsyncId, cancellationToken);
            return done.PublishTrack.Publication is { } publication
                ? new LocalAudioTrack(_client, Handle, track, publication)
                : throw new RtcException($"The track could not be published: {done.PublishTrack.Error}");
        }
        catch
        {
            track.Dispose();
            throw;
        }
    }

    /// <summary>Changes these attributes and leaves the others; an empty value removes one.</summary>
    public async Task SetAttributesAsync(IReadOnlyDictionary<string, string> attributes, CancellationToken cancellationToken)
    {
        var request = new SetLocalAttributesRequest { LocalParticipantHandle = Handle.Id, RequestAsyncId = _client.NextAsyncId() };
        request.Attributes.Add(attributes.Select(a => new AttributesEntry { Key = a.Key, Value = a.Value }));
        var done = await CallAsync(new FfiRequest { SetLocalAttributes = request }, request.RequestAsyncId, cancellationToken);
        ThrowIf(done.SetLocalAttributes.Error, "The attributes could not be set");
    }

    public async Task SetMetadataAsync(string metadata, CancellationToken cancellationToken)
    {
        var request = new SetLocalMetadataRequest { LocalParticipantHandle = Handle.Id, Metadata = metadata, RequestAsyncId = _client.NextAsyncId() };
        var done = await CallAsync(new FfiRequest { SetLocalMetadata = request }, request.RequestAsyncId, cancellationToken);
        ThrowIf(done.SetLocalMetadata.Error, "The metadata could not be set");
    }

    public async Task SetNameAsync(string name, CancellationToken cancellationToken)
    {
        var request = new SetLocalNameRequest { LocalParticipantHandle = Handle.Id, Name = name, RequestAsyncId = _client.NextAsyncId() };
        var done = await CallAsync(new FfiRequest { SetLocalName = request }, request.RequestAsyncId, cancellationToken);
        ThrowIf(done.SetLocalName.Error, "The name could not be set");
    }

    /// <summary>Sends a packet of data.</summary>
    /// <param name="reliable">False: it may be lost, and is never late.</param>
    /// <param name="destinations">Identities; empty: everybody.</param>
    public async Task PublishDataAsync(
        ReadOnlyMemory<byte> data, bool reliable, string topic, IReadOnlyList<string> destinations, CancellationToken cancellationToken)
    {
        var request = new PublishDataRequest
        {
            LocalParticipantHandle = Handle.Id,
            Reliable = reliable,
            Topic = topic,
            DataLen = (ulong)data.Length,
            RequestAsyncId = _client.NextAsyncId(),
            DestinationIdentities = { destinations },
        };
        Task<FfiEvent> call;
        using (var pinned = data.Pin())
        {
            request.DataPtr = AddressOf(pinned);
            // The library copies before it answers the request.
            call = _client.CallAsync(new FfiRequest { PublishData = request }, request.RequestAsyncId);
        }

        ThrowIf((await call.WaitAsync(cancellationToken)).PublishData.Error, "The data could not be sent");
    }

    /// <summary>Presses a telephone key, for the SIP participants among the receivers.</summary>
    public async Task PublishDtmfAsync(uint code, string digit, IReadOnlyList<string> destinations, CancellationToken cancellationToken)
    {
        var request = new PublishSipDtmfRequest
        {
            LocalParticipantHandle = Handle.Id,
            Code = code,
            Digit = digit,
            RequestAsyncId = _client.NextAsyncId(),
            DestinationIdentities = { destinations },
        };
        var done = await CallAsync(new FfiRequest { PublishSipDtmf = request }, request.RequestAsyncId, cancellationToken);
        ThrowIf(done.PublishSipDtmf.Error, "The tone could not be sent");
    }

    /// <summary>Sends a whole text as a text stream.</summary>
    /// <returns>The stream's id.</returns>
    public async Task<string> SendTextAsync(string text, TextStreamOptions options, CancellationToken cancellationToken)
    {
        var request = new StreamSendTextRequest
        {
            LocalParticipantHandle = Handle.Id,
            Text = text,
            Options = Convert(options),
            RequestAsyncId = _client.NextAsyncId(),
        };
        var done = (await CallAsync(new FfiRequest { SendText = request }, request.RequestAsyncId, cancellationToken)).SendText;
        return done.Info?.StreamId ?? throw new RtcException($"The text could not be sent: {done.Error?.Description}");
    }

    /// <summary>Begins a text that is sent piece by piece.</summary>
    public async Task<OutgoingTextStream> OpenTextStreamAsync(TextStreamOptions options, CancellationToken cancellationToken)
    {
        var request = new TextStreamOpenRequest
        {
            LocalParticipantHandle = Handle.Id,
            Options = Convert(options),
            RequestAsyncId = _client.NextAsyncId(),
        };
        var done = (await CallAsync(new FfiRequest { TextStreamOpen = request }, request.RequestAsyncId, cancellationToken)).TextStreamOpen;
        return done.Writer is { } writer
            ? new OutgoingTextStream(_client, writer)
            : throw new RtcException($"The text stream could not be opened: {done.Error?.Description}");
    }

    /// <summary>Calls a method of another participant.</summary>
    /// <param name="payload">At most 15 KiB, as the answer.</param>
    /// <exception cref="RpcException">Not there, too late, or refused by the method.</exception>
    public async Task<string> PerformRpcAsync(
        string destination, string method, string payload, TimeSpan responseTimeout, CancellationToken cancellationToken)
    {
        var request = new PerformRpcRequest
        {
            LocalParticipantHandle = Handle.Id,
            DestinationIdentity = destination,
            Method = method,
            Payload = payload,
            ResponseTimeoutMs = (uint)responseTimeout.TotalMilliseconds,
            RequestAsyncId = _client.NextAsyncId(),
        };
        var done = (await CallAsync(new FfiRequest { PerformRpc = request }, request.RequestAsyncId, cancellationToken)).PerformRpc;
        return done.Error is { } error ? throw new RpcException(error.Code, error.Message, error.Data) : done.Payload;
    }

    /// <summary>
    /// Answers calls of a method from now on. Throw <see cref="RpcException"/> to refuse with a code; any other exception reaches the
    /// caller as an application error without its text.
    /// </summary>
    public void RegisterRpcMethod(string method, Func<RpcInvocation, CancellationToken, Task<string>> handler)
    {
        RpcMethods[method] = handler;
        _client.Send(new FfiRequest { RegisterRpcMethod = new RegisterRpcMethodRequest { LocalParticipantHandle = Handle.Id, Method = method } });
    }

    public void UnregisterRpcMethod(string method)
    {
        RpcMethods.TryRemove(method, out _);
        _client.Send(new FfiRequest { UnregisterRpcMethod = new UnregisterRpcMethodRequest { LocalParticipantHandle = Handle.Id, Method = method } });
    }

    private static unsafe ulong AddressOf(MemoryHandle pinned) => (ulong)pinned.Pointer;

    private static StreamTextOptions Convert(TextStreamOptions options)
    {
        var converted = new StreamTextOptions { Topic = options.Topic, DestinationIdentities = { options.Destinations } };
        foreach (var (key, value) in options.Attributes)
        {
            converted.Attributes[key] = value;
        }

        if (options.StreamId is { } id)
        {
            converted.Id = id;
        }

        if (options.ReplyToStreamId is { } replyTo)
        {
            converted.ReplyToStreamId = replyTo;
        }

        if (options.SenderIdentity is { } sender)
        {
            converted.SenderIdentity = sender;
        }

        return converted;
    }

    private static void ThrowIf(string? error, string what)
    {
        if (!string.IsNullOrEmpty(error))
        {
            throw new RtcException($"{what}: {error}");
        }
    }

    private async Task<FfiEvent> CallAsync(FfiRequest request, ulong asyncId, CancellationToken cancellationToken)
    {
        var call = _client.CallAsync(request, asyncId);
        try
        {
            return await call.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _ = call.ContinueWith(
                static done => FfiEvents.DropHandles(done.GetAwaiter().GetResult()),
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnRanToCompletion,
                TaskScheduler.Default);
            throw;
        }
    }
}

/// <summary>A track of ours.</summary>
[SuppressMessage("Design", "CA1001", Justification = "Unpublishing releases it; a forgotten one goes with the room.")]
public sealed class LocalAudioTrack
{
    private readonly FfiClient _client;
    private readonly FfiHandle _participant;
    private readonly FfiHandle _track;
    private readonly FfiHandle _publication;

    internal LocalAudioTrack(FfiClient client, FfiHandle participant, FfiHandle track, OwnedTrackPublication publication)
    {
        (_client, _participant, _track) = (client, participant, track);
        _publication = new FfiHandle(publication.Handle);
        (Sid, Name) = (publication.Info.Sid, publication.Info.Name);
    }

    public string Sid { get; }

    public string Name { get; }

    public void SetMuted(bool muted) =>
        _client.Send(new FfiRequest { LocalTrackMute = new LocalTrackMuteRequest { TrackHandle = _track.Id, Mute = muted } });

    public async Task UnpublishAsync(CancellationToken cancellationToken)
    {
        var request = new UnpublishTrackRequest
        {
            LocalParticipantHandle = _participant.Id,
            TrackSid = Sid,
            StopOnUnpublish = true,
            RequestAsyncId = _client.NextAsyncId(),
        };
        var done = await _client.CallAsync(new FfiRequest { UnpublishTrack = request }, request.RequestAsyncId).WaitAsync(cancellationToken);
        _publication.Dispose();
        _track.Dispose();
        if (!string.IsNullOrEmpty(done.UnpublishTrack.Error))
        {
            throw new RtcException($"The track could not be unpublished: {done.UnpublishTrack.Error}");
        }
    }
}
