using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.MediaServer.Transport;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>
/// A telephone in a room: one SIP call, its audio, and the participant that the room sees, kept together from the first ring to the
/// end. It ends once, whoever wants it first: the telephone, the room, a time limit, silence on the line.
/// </summary>
/// <remarks>
/// Its events come from four sides (room, SIP, audio, clock), each on a thread of its own. What they do is handed to room, call or
/// audio at once; the only state here is whether the leg has ended, changed by <see cref="Interlocked"/>.
/// </remarks>
internal abstract partial class PhoneLeg : ILocalObserver, ICallObserver, IPhoneObserver, IAsyncDisposable
{
    /// <summary>Of the attributes LiveKit gives a digit received in a room: its RTP event number (RFC 4733).</summary>
    private const string DtmfEvents = "0123456789*#ABCD";

    private readonly ILogger _log;
    private readonly TaskCompletionSource<LegEnd> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _heardSomebody = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _hasEnded;
    private volatile bool _isOnHold;
    private LocalParticipant? _participant;

    protected PhoneLeg(string callId, string identity, TimeProvider clock, ILogger log) => (CallId, Identity, Clock, _log) = (callId, identity, clock, log);

    /// <summary>LiveKit's id of the call, "SCL_…".</summary>
    public string CallId { get; }

    public string Identity { get; }

    /// <summary>Completes when the leg is over, for whatever reason; never fails.</summary>
    public Task<LegEnd> Ended => _ended.Task;

    public bool HasEnded => Volatile.Read(ref _hasEnded) != 0;

    public LocalParticipant Participant => _participant ?? throw new InvalidOperationException("The leg has not joined yet.");

    protected ILogger Log => _log;

    protected TimeProvider Clock { get; }

    /// <summary>Null before there is any audio.</summary>
    public PhoneStatistics? Statistics => Media?.Statistics;

    /// <summary>Somebody in the room can be heard.</summary>
    protected Task HeardSomebody => _heardSomebody.Task;

    protected abstract SipCall? Call { get; }

    protected PhoneSession Media { get; set; } = null!;

    public void OnInfo(string contentType, string body)
    {
        if (DtmfRelay.Read(contentType, body) is { } digit)
        {
            OnDtmf(digit, 0);
        }
    }

    public void OnDtmf(char digit, int durationMs)
    {
        OnDigit(digit);
        var code = DtmfEvents.IndexOf(digit, StringComparison.Ordinal);
        if (code >= 0 && _participant is { } participant)
        {
            Forget(participant.SendAsync(new DataPacket { SipDtmf = new SipDTMF { Code = (uint)code, Digit = digit.ToString() } }, CancellationToken.None));
        }
    }

    public void OnMediaTimeout()
    {
        LogSilent(_log, CallId);
        End(new LegEnd(DisconnectReason.MediaFailure, ByTelephone: false, "No audio came from the telephone any more."));
    }

    public virtual void OnFirstAudio()
    {
    }

    public virtual void OnProgress(int status, string? sdp)
    {
    }

    /// <summary>Hold, resume, another codec or address.</summary>
    public string? OnReInvite(string? offer)
    {
        try
        {
            var answer = offer is null ? Media.CreateOffer() : Media.CreateAnswer(offer);
            TellHold();
            return answer;
        }
        catch (MediaRefusedException e)
        {
            LogRefused(_log, CallId, e.Message);
            return null;
        }
    }

    public void OnAnswer(string sdp)
    {
        try
        {
            Media.AcceptAnswer(sdp);
            TellHold();
        }
        catch (MediaRefusedException e)
        {
            End(new LegEnd(DisconnectReason.MediaFailure, ByTelephone: false, e.Message));
        }
    }

    public void OnHangUp(HangUp reason) => End(new LegEnd(
        reason.Cause is HangUpCause.Peer ? DisconnectReason.ClientInitiated : DisconnectReason.SipTrunkFailure,
        ByTelephone: true,
        reason.Reason ?? reason.Cause.ToString()));

    public bool IsIn(string room, string identity) => _participant is { } participant && participant.Room.Name == room && Identity == identity;

    /// <summary>Asks the other side's exchange to connect the telephone elsewhere (REFER).</summary>
    public Task<ReferOutcome> TransferAsync(string to, IReadOnlyList<(string Name, string Value)> headers, TimeSpan timeout, CancellationToken ct) =>
        Call is { } call ? call.ReferAsync(to, headers, timeout, ct) : Task.FromResult(new ReferOutcome(ReferKind.Failed, 0, "The telephone has not answered."));

    IAudioSink? ILocalObserver.OnTrack(ParticipantInfo publisher, TrackInfo track)
    {
        var sink = Media.AddTrack(track.Sid);
        _heardSomebody.TrySetResult();
        return sink;
    }

    void ILocalObserver.OnTrackEnded(string trackSid) => Media.RemoveTrack(trackSid);

    void ILocalObserver.OnData(DataPacket packet)
    {
        if (packet.ValueCase is DataPacket.ValueOneofCase.SipDtmf && packet.SipDtmf.Digit is { Length: 1 } digit)
        {
            _ = PressAsync(digit);
        }
    }

    void ILocalObserver.OnOthersChanged()
    {
    }

    void ILocalObserver.OnLeft(DisconnectReason reason) => End(new LegEnd(reason, ByTelephone: false, ""));

    /// <summary>Leaves the room and hangs up. The first reason counts.</summary>
    public void End(LegEnd end)
    {
        if (Interlocked.Exchange(ref _hasEnded, 1) == 0)
        {
            _ended.TrySetResult(end);
        }
    }

    public virtual ValueTask DisposeAsync()
    {
        Media?.Dispose();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    protected virtual void OnDigit(char digit)
    {
    }

    /// <summary>A participant for this leg, as LiveKit's SIP service makes them.</summary>
    protected async Task JoinAsync(Room room, string name, string metadata, IReadOnlyDictionary<string, string> attributes, CancellationToken ct) =>
        _participant = await room.JoinLocalAsync(
            new LocalJoin
            {
                Identity = Identity,
                Kind = ParticipantInfo.Types.Kind.Sip,
                Name = name,
                Metadata = metadata,
                Attributes = attributes,
                Permission = new ParticipantPermission { CanSubscribe = true, CanPublish = true, CanPublishData = true, CanUpdateMetadata = true },
            },
            this,
            ct);

    protected ValueTask TellAsync(params (string Key, string Value)[] attributes) =>
        Participant.SetAttributesAsync(attributes.ToDictionary(a => a.Key, a => a.Value, StringComparer.Ordinal), CancellationToken.None);

    /// <summary>Waits for the end, and then sees to it that nothing of the leg is left anywhere.</summary>
    protected async Task<LegEnd> AwaitEndAsync(TimeSpan? longest)
    {
        if (longest is { } limit)
        {
            using var over = new CancellationTokenSource(limit, Clock);
            await using var timer = over.Token.Register(() => End(new LegEnd(DisconnectReason.ClientInitiated, ByTelephone: false, "The call reached its longest duration.")));
            return await Ended;
        }

        return await Ended;
    }

    protected async Task CloseAsync(LegEnd end)
    {
        if (end.ByTelephone && _participant is not null)
        {
            await TellAsync((SipAttributes.CallStatus, SipCallStatusName.Hangup));
        }

        if (_participant is not null)
        {
            await _participant.LeaveAsync(end.Reason);
        }

        await HangUpAsync();
    }

    protected abstract Task HangUpAsync();

    private void TellHold()
    {
        if (Media.IsOnHold != _isOnHold && _participant is not null)
        {
            _isOnHold = Media.IsOnHold;
            Forget(TellAsync((SipAttributes.OnHold, _isOnHold ? "true" : "")));
        }
    }

    // Called on the room's loop, in the middle of telling everybody: whatever the digit is, the others are told too.
    private async Task PressAsync(string digit)
    {
        try
        {
            await Media.SendDtmfAsync(digit, CancellationToken.None);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or OperationCanceledException)
        {
            LogNotPressed(_log, CallId, e.Message);
        }
    }

    // The room's loop must not be waited for by SIP or media threads; what it does with the message, it does.
    private void Forget(ValueTask sending)
    {
        if (!sending.IsCompletedSuccessfully)
        {
            _ = ObserveAsync(sending.AsTask());
        }

        async Task ObserveAsync(Task task)
        {
            await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (task.Exception is { } fault)
            {
                LogFault(_log, fault, CallId);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Call {CallId}: no audio comes from the telephone any more")]
    private static partial void LogSilent(ILogger log, string callId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Call {CallId}: a change of its audio was refused: {Reason}")]
    private static partial void LogRefused(ILogger log, string callId, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Call {CallId}: a key was not pressed: {Reason}")]
    private static partial void LogNotPressed(ILogger log, string callId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Call {CallId}: something could not be told")]
    private static partial void LogFault(ILogger log, Exception exception, string callId);
}

/// <param name="Reason">As the room is told.</param>
/// <param name="ByTelephone">The telephone hung up.</param>
/// <param name="Why">A sentence for logs; may be empty.</param>
internal sealed record LegEnd(DisconnectReason Reason, bool ByTelephone, string Why);
