using VoicePlatform.Calls.Data;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls.Live;

/// <summary>Reaches into a call that is up: the assistant in its room, by LiveKit's remote procedure calls.</summary>
internal sealed class LiveCalls(CallDb db, LiveKitApi livekit)
{
    private const uint RpcTimeoutMs = 10_000;

    public async Task<Result<LiveCall>> FindAsync(string tenantId, string callId, CancellationToken ct)
    {
        var call = await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == callId && c.TenantId == tenantId, ct);
        return call is null ? CallErrors.NotFound
            : call is { Status: CallStatus.InProgress, RoomName: { } room, SessionId: { } session, ParticipantIdentity: { } identity } ? new LiveCall(callId, session, room, identity)
            : CallErrors.NotInProgress;
    }

    /// <summary>Calls a method of the assistant in the room; answers when it has done it.</summary>
    public async Task<Result<Done>> AskAgentAsync(LiveCall call, string method, object payload, CancellationToken ct)
    {
        try
        {
            var participants = await livekit.Rooms.ListParticipantsAsync(call.RoomName, ct);
            if (participants.FirstOrDefault(p => p.Kind is ParticipantInfo.Types.Kind.Agent) is not { } agent)
            {
                return CallErrors.AgentAbsent;
            }

            await livekit.Rooms.PerformRpcAsync(
                new PerformRpcRequest { Room = call.RoomName, DestinationIdentity = agent.Identity, Method = method, Payload = Json.Write(payload), ResponseTimeoutMs = RpcTimeoutMs }, ct);
            return default(Done);
        }
        catch (LiveKitApiException e)
        {
            return e.Code == "not_found" ? CallErrors.AgentAbsent
                : e.Status is null || e.IsRetryable ? CallErrors.MediaUnavailable
                : new Error(ErrorKind.Refused, "call.agent_refused", $"The assistant did not do it: {e.Message}");
        }
    }
}

internal sealed record LiveCall(string CallId, string SessionId, string RoomName, string ParticipantIdentity);
