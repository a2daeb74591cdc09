using Google.Protobuf.WellKnownTypes;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls.Dialling;

/// <summary>
/// One attempt from the claim to its outcome: session, room, agent, and only when the agent is there the telephone. Until the
/// telephone is asked for, what fails is put off and nothing is lost; from then on an outcome that is not known ends the call.
/// </summary>
internal sealed class DialAttempt(IServiceScopeFactory scopes, TimeProvider clock, ILogger<DialAttempt> log)
{
    private const uint EmptyTimeout = 30;
    private const uint DepartureTimeout = 5;
    private static readonly TimeSpan AgentPatience = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan AgentPoll = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PutOffFor = TimeSpan.FromSeconds(3);

    public async Task RunAsync(Claim claim)
    {
        var prepared = await SendAsync(new PrepareDial(claim.CallId, claim.Attempt));
        if (!prepared.IsOk)
        {
            // Capacity, a trunk that LiveKit is about to get: later. What cannot become right by waiting ends the call.
            await (prepared.Error.Kind is ErrorKind.Unavailable
                ? PutOffAsync(claim, null, prepared.Error.Code)
                : FinishAsync(claim, null, new Outcome(Data.CallStatus.Failed, prepared.Error.Code, Data.Fault.Tenant, null, prepared.Error.Message)));
            return;
        }

        if (prepared.Value.Dial is not { } dial)
        {
            return;     // Canceled, or ended by somebody else.
        }

        await using var scope = scopes.CreateAsyncScope();
        var livekit = scope.ServiceProvider.GetRequiredService<LiveKitApi>();
        try
        {
            await livekit.Rooms.CreateAsync(RoomOf(dial), CancellationToken.None);
            if (!await AgentIsThereAsync(livekit, dial.RoomName))
            {
                await PutOffAsync(claim, dial.SessionId, "agent_absent");
                return;
            }
        }
        catch (LiveKitApiException e)
        {
            await PutOffAsync(claim, dial.SessionId, e.Code == "not_found" ? "room_gone" : "media_unavailable");
            return;
        }

        // Checkpoint: written and committed that the number may ring. From here on this attempt is never repeated.
        if (!(await SendAsync(new MarkSent(claim.CallId, claim.Attempt))).IsOk)
        {
            await FinishAsync(claim, dial.SessionId, Outcome.Canceled);
            return;
        }

        var sent = clock.GetTimestamp();
        try
        {
            await livekit.Sip.CreateParticipantAsync(TelephoneOf(dial), CancellationToken.None);
            if (!(await SendAsync(new ReportPhoneState(dial.SessionId, PhoneState.Answered))).IsOk)
            {
                await FinishAsync(claim, dial.SessionId, new Outcome(Data.CallStatus.Completed, "hung_up_at_once", Data.Fault.Callee));
            }
        }
        catch (LiveKitApiException e)
        {
            await FinishAsync(claim, dial.SessionId, Outcome.Of(e, clock.GetElapsedTime(sent), dial.RingTimeout));
        }
    }

    /// <summary>Its track is what the callee hears first: before it is published nobody is rung.</summary>
    private async Task<bool> AgentIsThereAsync(LiveKitApi livekit, string room)
    {
        var started = clock.GetTimestamp();
        while (clock.GetElapsedTime(started) < AgentPatience)
        {
            var participants = await livekit.Rooms.ListParticipantsAsync(room, CancellationToken.None);
            if (participants.Any(p => p.Kind is ParticipantInfo.Types.Kind.Agent && p.Tracks.Any(t => t.Type is TrackType.Audio)))
            {
                return true;
            }

            await Task.Delay(AgentPoll, clock, CancellationToken.None);
        }

        return false;
    }

    private static CreateRoomRequest RoomOf(Dial dial) => new()
    {
        Name = dial.RoomName,
        EmptyTimeout = EmptyTimeout,
        DepartureTimeout = DepartureTimeout,
        Agents = { new RoomAgentDispatch { AgentName = dial.AgentName, Metadata = Json.Write(new { session_id = dial.SessionId }) } },
    };

    private static CreateSIPParticipantRequest TelephoneOf(Dial dial) => new()
    {
        SipTrunkId = dial.Line.LiveKitTrunkId ?? "",
        Trunk = dial.Line.TestPhone is { } phone ? new SIPOutboundConfig { Hostname = phone, Transport = SIPTransport.Udp } : null,
        SipCallTo = dial.ToNumber,
        SipNumber = dial.FromNumber,
        RoomName = dial.RoomName,
        ParticipantIdentity = dial.ParticipantIdentity,
        ParticipantName = dial.ToNumber,
        ParticipantAttributes = { ["call_id"] = dial.CallId },
        WaitUntilAnswered = true,
        KrispEnabled = false,
        RingingTimeout = Duration.FromTimeSpan(dial.RingTimeout),
        MaxCallDuration = Duration.FromTimeSpan(dial.MaxDuration),
    };

    private async Task PutOffAsync(Claim claim, string? sessionId, string cause)
    {
        CallLog.PutOff(log, claim.CallId, claim.Attempt, cause);
        await SendAsync(new PutOff(claim.CallId, claim.Attempt, sessionId, cause, PutOffFor));
    }

    private Task FinishAsync(Claim claim, string? sessionId, Outcome outcome) => SendAsync(new FinishAttempt(claim.CallId, claim.Attempt, sessionId, outcome));

    private async Task<Result<T>> SendAsync<T>(ICommand<T> command)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(command, CancellationToken.None);
    }
}
