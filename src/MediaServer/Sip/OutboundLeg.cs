using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>A telephone that we ring.</summary>
internal sealed partial class OutboundLeg(OutboundDial dial, TimeProvider clock, ILogger log) : PhoneLeg(dial.CallId, dial.Identity, clock, log)
{
    private readonly TaskCompletionSource<SipFailure?> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private OutgoingCall? _call;
    private int _rings;

    /// <summary>Null when the telephone was answered; never fails.</summary>
    public Task<SipFailure?> Answer => _answer.Task;

    protected override SipCall? Call => _call;

    /// <summary>Puts the participant into the room: from now on the room sees a telephone being dialled.</summary>
    /// <exception cref="PhoneMediaException">There is no port left for its audio.</exception>
    /// <exception cref="RoomClosedException">The room has ended.</exception>
    public async Task JoinAsync(Room room, PhoneMedia phones, CancellationToken ct)
    {
        Media = phones.Open(dial.Media, this);
        await JoinAsync(room, dial.Name, dial.Metadata, dial.Attributes, ct);
    }

    /// <summary>Rings, bridges, and returns when all is over. Never fails.</summary>
    public async Task RunAsync(UserAgent agent)
    {
        var end = new LegEnd(DisconnectReason.SipTrunkFailure, ByTelephone: false, "");
        try
        {
            // There before the telephone rings: whoever listens in the room loses none of the first words.
            var voice = await Participant.PublishAsync(Identity, CancellationToken.None);
            _call = agent.Invite(dial.Invite with { Offer = Media.CreateOffer() }, this);
            if (dial.PlayDialtone)
            {
                Media.Connect(voice);
                Media.PlayToRoom(PhoneTone.Ringback);
            }

            // Who takes the participant out of the room while it rings wants the ringing to stop.
            if (await Task.WhenAny(_call.Outcome, Ended) == Ended)
            {
                _call.Cancel();
            }

            var outcome = await _call.Outcome;
            Media.PlayToRoom(PhoneTone.None);
            if (SipFailure.Of(outcome) is { } failure)
            {
                End(new LegEnd(failure.Reason, ByTelephone: false, failure.Words));
                await CloseAsync(await Ended);
                _answer.TrySetResult(failure);
                return;
            }

            var answered = (InviteOutcome.Answered)outcome;
            Media.AcceptAnswer(answered.Sdp);
            Media.Connect(voice);
            await Participant.ListenAsync(CancellationToken.None);
            await TellAsync(AnsweredAttributes(answered));
            _answer.TrySetResult(null);
            if (dial.Dtmf.Length > 0)
            {
                _ = Media.SendDtmfAsync(dial.Dtmf, CancellationToken.None);
            }

            end = await AwaitEndAsync(dial.MaxDuration);
        }
        catch (MediaRefusedException e)
        {
            end = new LegEnd(DisconnectReason.SipTrunkFailure, ByTelephone: false, e.Message);
            _answer.TrySetResult(SipFailure.OfStatus(488, e.Message));
        }
        catch (RoomClosedException)
        {
            end = new LegEnd(DisconnectReason.RoomDeleted, ByTelephone: false, "The room ended.");
        }
        catch (Exception e)
        {
            LogFault(Log, e, CallId);
        }

        End(end);
        await CloseAsync(end);
        _answer.TrySetResult(new SipFailure(ServerApi.TwirpCode.Canceled, 487, "Request Terminated", end.Reason));
    }

    public override void OnProgress(int status, string? sdp)
    {
        if (status >= 180 && Interlocked.Exchange(ref _rings, 1) == 0)
        {
            _ = TellAsync((SipAttributes.CallStatus, SipCallStatusName.Ringing)).AsTask();
        }
    }

    protected override async Task HangUpAsync()
    {
        if (_call is { } call)
        {
            await call.HangUpAsync();
        }
    }

    private (string, string)[] AnsweredAttributes(InviteOutcome.Answered answered)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [SipAttributes.CallIdFull] = _call!.CallId,
            [SipAttributes.CallTag] = _call.RemoteTag ?? "",
            [SipAttributes.CallStatus] = SipCallStatusName.Active,
        };
        SipAttributes.AddHeaders(attributes, answered.Headers, dial.IncludeHeaders, dial.HeadersToAttributes);
        return [.. attributes.Select(a => (a.Key, a.Value))];
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Call {CallId} failed")]
    private static partial void LogFault(ILogger log, Exception exception, string callId);
}
