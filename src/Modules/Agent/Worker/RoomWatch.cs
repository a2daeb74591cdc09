using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Rtc;
using DisconnectReason = VoicePlatform.LiveKit.Protocol.DisconnectReason;

namespace VoicePlatform.Agent.Worker;

/// <summary>Turns what happens in a room into events of its conversation, and has the caller's track listened to.</summary>
internal sealed partial class RoomWatch(
    RtcRoom room, ConversationPlan plan, Conversation conversation, IRecogniser recogniser, RoomVoice voice, Reporter reporter, Action<PhoneState> phone,
    TimeProvider clock, ILogger log)
{
    private const int LongestMessage = 8_000;

    private static readonly TimeSpan SubscriptionPatience = TimeSpan.FromSeconds(2);

    // Whose connection is replaced by another of the same identity, or lost its signalling only, is away for a moment.
    private static readonly TimeSpan ComeBackPatience = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _heardBySomebody = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Listener _listener = new(conversation, recogniser, clock, listensForBeeps: plan.Phone is { Direction: CallDirection.Outbound });
    private readonly List<Task> _background = [];
    private Task _listening = Task.CompletedTask;
    private RemoteAudioStream? _ears;
    private string? _heardTrack;
    private string _callStatus = "";
    private int _arrivals;
    private int _reconnections;

    /// <summary>Until cancelled or the room is over. Never fails: what goes wrong ends the conversation, and not in silence.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            room.HandleTextStreams("lk.chat", ReadMessageAsync);
            if (room.RemoteParticipants.TryGetValue(plan.ParticipantIdentity, out var early))
            {
                Arrive(early, ct);
                foreach (var publication in early.Publications.Values)
                {
                    Listen(publication.Track, ct);
                }
            }

            await foreach (var e in room.ReadEventsAsync(ct))
            {
                await HandleAsync(e, ct);
                reporter.Usage(recogniser.Usage);
            }

            await conversation.PostAsync(new ConversationEvent.Stop(EndReasons.AgentFailed), ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The conversation is over.
        }
        catch (Exception e)
        {
            Failed(log, e);
            await conversation.PostAsync(new ConversationEvent.Stop(EndReasons.AgentFailed), CancellationToken.None);
        }
        finally
        {
            _ears?.Dispose();
            await Task.WhenAll([_listening, .. _background]).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async ValueTask HandleAsync(RoomEvent e, CancellationToken ct)
    {
        switch (e)
        {
            case RoomEvent.ParticipantConnected { Participant: var participant } when participant.Identity == plan.ParticipantIdentity:
                Arrive(participant, ct);
                break;
            case RoomEvent.AttributesChanged changed when changed.Participant.Identity == plan.ParticipantIdentity && plan.Phone is not null:
                await FollowPhoneAsync(changed.Participant.Attributes, ct);
                break;
            case RoomEvent.DtmfReceived { Digit: [var key] } pressed when pressed.SenderIdentity == plan.ParticipantIdentity:
                await conversation.PostAsync(new ConversationEvent.Pressed(key), ct);
                break;
            case RoomEvent.LocalTrackSubscribed:
                _heardBySomebody.TrySetResult();
                break;
            case RoomEvent.TrackSubscribed subscribed when subscribed.Participant.Identity == plan.ParticipantIdentity:
                Listen(subscribed.Track, ct);
                break;
            case RoomEvent.TrackUnsubscribed gone when gone.TrackSid == _heardTrack:
                _ears?.Dispose();
                (_ears, _heardTrack) = (null, null);
                break;
            case RoomEvent.ParticipantDisconnected left when left.Participant.Identity == plan.ParticipantIdentity:
                await LeaveAsync(left.Reason, ct);
                break;
            case RoomEvent.Reconnected:
                Interlocked.Increment(ref _reconnections);
                break;
            case RoomEvent.Disconnected { Reason: var reason }:
                await conversation.PostAsync(new ConversationEvent.Stop(Why(reason)), ct);
                break;
        }
    }

    /// <summary>Why the conversation ends when our own connection has ended for good.</summary>
    internal static string Why(DisconnectReason reason) => reason switch
    {
        DisconnectReason.RoomDeleted or DisconnectReason.ParticipantRemoved => EndReasons.Requested,
        DisconnectReason.RoomClosed => EndReasons.CallerLeft,
        DisconnectReason.ServerShutdown => EndReasons.Shutdown,
        _ => EndReasons.AgentFailed,
    };

    /// <summary>
    /// Whether a participant who left so is likely to be back at once. Without a reason everybody goes when it is our own connection that is made anew: then they are announced again. A
    /// telephone whose media failed stays away; a web client is told to join anew.
    /// </summary>
    internal static bool ComesBack(DisconnectReason reason, bool isTelephone) => reason switch
    {
        DisconnectReason.UnknownReason or DisconnectReason.DuplicateIdentity or DisconnectReason.SignalClose or DisconnectReason.StateMismatch or DisconnectReason.Migration => true,
        DisconnectReason.MediaFailure => !isTelephone,
        _ => false,
    };

    private void Arrive(Participant participant, CancellationToken ct)
    {
        _arrivals++;
        if (plan.Phone is null)
        {
            Greet(ct);
        }
        else
        {
            _background.Add(FollowPhoneAsync(participant.Attributes, ct).AsTask());
        }
    }

    /// <summary>A telephone is in the room from the first ring; somebody is there only when it was answered.</summary>
    private async ValueTask FollowPhoneAsync(IReadOnlyDictionary<string, string> attributes, CancellationToken ct)
    {
        await conversation.PostAsync(new ConversationEvent.Held(attributes.GetValueOrDefault("sip.hold") == "true"), ct);
        var status = attributes.GetValueOrDefault("sip.callStatus") ?? "";
        if (status == _callStatus)
        {
            return;
        }

        _callStatus = status;
        switch (status)
        {
            case "dialing":
                phone(PhoneState.Dialing);
                break;
            case "ringing":
                phone(PhoneState.Ringing);
                break;
            case "active":
                phone(PhoneState.Answered);
                Greet(ct);
                break;
        }
    }

    private void Greet(CancellationToken ct)
    {
        _background.Add(GreetWhenHeardAsync());

        async Task GreetWhenHeardAsync()
        {
            await _heardBySomebody.Task.WaitAsync(SubscriptionPatience, clock, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await conversation.PostAsync(new ConversationEvent.CallerReady(), ct);
        }
    }

    private async ValueTask LeaveAsync(DisconnectReason reason, CancellationToken ct)
    {
        if (!ComesBack(reason, plan.Phone is not null))
        {
            await conversation.PostAsync(
                new ConversationEvent.CallerLeft(LostLine: plan.Phone is not null && reason is DisconnectReason.MediaFailure or DisconnectReason.SipTrunkFailure), ct);
            return;
        }

        var (arrivals, leftAt) = (_arrivals, clock.GetUtcNow());
        _background.Add(LeaveUnlessBackAsync());

        async Task LeaveUnlessBackAsync()
        {
            int reconnections;
            do
            {
                reconnections = Volatile.Read(ref _reconnections);
                await Task.Delay(ComeBackPatience, clock, ct);
            }
            while (room.State is RoomConnectionState.Reconnecting || reconnections != Volatile.Read(ref _reconnections));       // Only who is connected sees who is there.

            if (arrivals == Volatile.Read(ref _arrivals) && !room.RemoteParticipants.ContainsKey(plan.ParticipantIdentity))
            {
                await conversation.PostAsync(new ConversationEvent.CallerLeft(At: leftAt), ct);
            }
        }
    }

    private void Listen(RemoteTrack? track, CancellationToken ct)
    {
        if (track is not { IsAudio: true } || track.Sid == _heardTrack)
        {
            return;
        }

        // A caller who comes back after a lost connection brings a new track: the old one has ended.
        _ears?.Dispose();
        _ears = null;
        try
        {
            _ears = track.OpenAudio();
        }
        catch (RtcException e)
        {
            NotHeard(log, e.Message);
            return;
        }

        (_heardTrack, voice.CallerTrackSid) = (track.Sid, track.Sid);
        _listening = ListenAsync(_listening, _ears);

        async Task ListenAsync(Task former, RemoteAudioStream ears)
        {
            // One track at a time: the listener's state is of one stretch of sound.
            await former;
            try
            {
                await _listener.RunAsync(ears, ct);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                // The conversation is over.
            }
            catch (Exception e)
            {
                // A deaf assistant holds no conversation.
                Failed(log, e);
                await conversation.PostAsync(new ConversationEvent.Stop(EndReasons.AgentFailed), CancellationToken.None);
            }
        }
    }

    private async Task ReadMessageAsync(IncomingTextStream stream, CancellationToken ct)
    {
        if (stream.SenderIdentity == plan.ParticipantIdentity)
        {
            var text = (await stream.ReadAllAsync(LongestMessage, ct)).Trim();
            if (text.Length > 0)
            {
                await conversation.PostAsync(new ConversationEvent.Wrote(text), ct);
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "A room could not be watched")]
    private static partial void Failed(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "The caller's track could not be opened: {Reason}")]
    private static partial void NotHeard(ILogger logger, string reason);
}
