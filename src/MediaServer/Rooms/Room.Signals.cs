using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Signal;
using Reason = VoicePlatform.LiveKit.Protocol.RequestResponse.Types.Reason;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>What clients ask for over the signalling socket.</summary>
internal sealed partial class Room
{
    private static readonly TimeSpan AnswerDelay = TimeSpan.FromMilliseconds(5);

    /// <summary>Handles one message. Messages of a socket that was replaced meanwhile are dropped.</summary>
    public void Handle(Participant participant, SignalConnection signal, SignalRequest request)
    {
        if (participant.Signal == signal)
        {
            Guard(participant, () => Handle(participant, request, signal));
        }
    }

    private void Handle(Participant participant, SignalRequest request, SignalConnection signal)
    {
        switch (request.MessageCase)
        {
            case SignalRequest.MessageOneofCase.Offer:
                Negotiate(participant, request.Offer);
                break;
            case SignalRequest.MessageOneofCase.Trickle:
                // An ICE-lite server learns the client's addresses from its checks.
                break;
            case SignalRequest.MessageOneofCase.AddTrack:
                AddTrack(participant, request.AddTrack);
                break;
            case SignalRequest.MessageOneofCase.Mute:
                Mute(participant, request.Mute.Sid, request.Mute.Muted);
                break;
            case SignalRequest.MessageOneofCase.Subscription:
                UpdateSubscriptions(participant, request.Subscription);
                break;
            case SignalRequest.MessageOneofCase.TrackSetting:
                Disable(participant, request.TrackSetting.TrackSids, request.TrackSetting.Disabled);
                break;
            case SignalRequest.MessageOneofCase.SubscriptionPermission:
                participant.Audience = request.SubscriptionPermission;
                ReviseAudience(participant);
                break;
            case SignalRequest.MessageOneofCase.SyncState:
                SyncState(participant, request.SyncState);
                break;
            case SignalRequest.MessageOneofCase.UpdateMetadata:
                UpdateOwnMetadata(participant, request.UpdateMetadata);
                break;
            case SignalRequest.MessageOneofCase.UpdateAudioTrack:
                UpdateFeatures(participant, request.UpdateAudioTrack);
                break;
            case SignalRequest.MessageOneofCase.Ping:
                signal.Send(new SignalResponse { Pong = NowMilliseconds() });
                break;
            case SignalRequest.MessageOneofCase.PingReq:
                signal.Send(new SignalResponse
                {
                    PongResp = new Pong { LastPingTimestamp = request.PingReq.Timestamp, Timestamp = NowMilliseconds() },
                });
                break;
            case SignalRequest.MessageOneofCase.Leave:
                Remove(participant, DisconnectReason.ClientInitiated, LeaveRequest.Types.Action.Disconnect);
                break;
            case SignalRequest.MessageOneofCase.Simulate:
                Simulate(participant, request.Simulate);
                break;
            default:
                Refuse(participant, request);
                break;
        }
    }

    private long NowMilliseconds() => _clock.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Answers what this server does not do, where a client waits for an answer.</summary>
    private static void Refuse(Participant participant, SignalRequest request)
    {
        var answer = new RequestResponse { Reason = Reason.UnsupportedType, Message = "this server forwards audio and data messages only" };
        switch (request.MessageCase)
        {
            case SignalRequest.MessageOneofCase.PublishDataTrackRequest:
                answer.PublishDataTrack = request.PublishDataTrackRequest;
                break;
            case SignalRequest.MessageOneofCase.UnpublishDataTrackRequest:
                answer.UnpublishDataTrack = request.UnpublishDataTrackRequest;
                break;
            case SignalRequest.MessageOneofCase.UpdateVideoTrack:
                answer.UpdateVideoTrack = request.UpdateVideoTrack;
                break;
            case SignalRequest.MessageOneofCase.StoreDataBlobRequest:
                answer.RequestId = request.StoreDataBlobRequest.RequestId;
                break;
            case SignalRequest.MessageOneofCase.GetDataBlobRequest:
                answer.RequestId = request.GetDataBlobRequest.RequestId;
                break;
            default:
                return;
        }

        participant.Send(new SignalResponse { RequestResponse = answer });
    }

    private void UpdateOwnMetadata(Participant participant, UpdateParticipantMetadata update)
    {
        var answer = new RequestResponse { RequestId = update.RequestId, UpdateMetadata = update };
        if (!participant.Permission.CanUpdateMetadata)
        {
            (answer.Reason, answer.Message) = (Reason.NotAllowed, "does not have permission to update own metadata");
        }
        else if (Sizes.Refuse(update.Name, update.Metadata, update.Attributes, participant.Attributes) is { } refusal)
        {
            (answer.Reason, answer.Message) = (Reason.LimitExceeded, refusal);
        }
        else
        {
            Apply(participant, update.Name, update.Metadata, update.Attributes);
        }

        _ = AnswerAsync(participant, answer);       // Never fails: sending only queues.
    }

    /// <summary>
    /// LiveKit's native client begins to wait for this answer only after it has sent the request. An answer that is faster than its next
    /// statement is lost on it, and the call times out after 5 s; LiveKit's own server takes about this long.
    /// </summary>
    private async Task AnswerAsync(Participant participant, RequestResponse answer)
    {
        await Task.Delay(AnswerDelay, _clock);
        participant.Send(new SignalResponse { RequestResponse = answer });
    }

    /// <summary>Sets what is given (empty: leave as it is), tells everybody and renews the participant's token.</summary>
    private void Apply(Participant participant, string name, string metadata, IEnumerable<KeyValuePair<string, string>> attributes)
    {
        participant.Name = name.Length > 0 ? name : participant.Name;
        participant.Metadata = metadata.Length > 0 ? metadata : participant.Metadata;
        participant.SetAttributes(attributes);
        Changed(participant);
        FlushChanges();
        RefreshToken(participant);
    }

    private void UpdateFeatures(Participant participant, UpdateLocalAudioTrack update)
    {
        if (FindTrack(participant, update.TrackSid) is { } track)
        {
            track.Info.AudioFeatures.Clear();
            track.Info.AudioFeatures.Add(update.Features);
            Changed(participant);
        }
    }

    private void SyncState(Participant participant, SyncState state)
    {
        if (state.Subscription is { } subscription)
        {
            UpdateSubscriptions(participant, subscription);
        }

        Disable(participant, state.TrackSidsDisabled, disabled: true);
        Replay(participant, state.DatachannelReceiveStates);
    }

    /// <summary>The faults LiveKit's clients ask for to test themselves.</summary>
    private void Simulate(Participant participant, SimulateScenario scenario)
    {
        LogSimulated(_log, Name, participant.Identity, scenario.ScenarioCase);
        switch (scenario.ScenarioCase)
        {
            case SimulateScenario.ScenarioOneofCase.SpeakerUpdate:
                Broadcast(new SignalResponse
                {
                    SpeakersChanged = new SpeakersChanged { Speakers = { new SpeakerInfo { Sid = participant.Sid, Active = true, Level = 0.9f } } },
                });
                break;
            case SimulateScenario.ScenarioOneofCase.Migration:
                participant.Signal?.Close();
                break;
            case SimulateScenario.ScenarioOneofCase.NodeFailure:
                // A node that dies says nothing: the client finds out when it tries to resume.
                participant.Signal?.Abort();
                participant.Signal = null;
                Remove(participant, DisconnectReason.StateMismatch, LeaveRequest.Types.Action.Reconnect);
                break;
            case SimulateScenario.ScenarioOneofCase.ServerLeave:
                Remove(participant, DisconnectReason.ServerShutdown, LeaveRequest.Types.Action.Disconnect);
                break;
            case SimulateScenario.ScenarioOneofCase.LeaveRequestFullReconnect:
                Remove(participant, DisconnectReason.ServerShutdown, LeaveRequest.Types.Action.Reconnect);
                break;
            // The client closes its socket itself after asking for these two.
            case SimulateScenario.ScenarioOneofCase.DisconnectSignalOnResume:
                participant.NextResume = ResumeFault.CloseAfterAnswer;
                break;
            case SimulateScenario.ScenarioOneofCase.DisconnectSignalOnResumeNoMessages:
                participant.NextResume = ResumeFault.CloseAtOnce;
                break;
            default:
                break;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Room {Room}: {Identity} simulates {Scenario}")]
    private static partial void LogSimulated(ILogger log, string room, string identity, SimulateScenario.ScenarioOneofCase scenario);
}
