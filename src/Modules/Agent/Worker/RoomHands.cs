using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Worker;

/// <summary>What tools reach in the room, once it is joined.</summary>
internal sealed class RoomHands(ConversationPlan plan) : IRoomHands
{
    private RtcRoom? _room;

    public bool IsPhone => plan.Phone is not null;

    public void Join(RtcRoom room) => _room = room;

    public async Task<string> AskCallerAsync(string method, string payload, TimeSpan timeout, CancellationToken ct)
    {
        try
        {
            return await Room.LocalParticipant.PerformRpcAsync(plan.ParticipantIdentity, method, payload, timeout, ct);
        }
        catch (RpcException e)
        {
            throw new ToolException($"The caller's program did not do it: {e.Message} (code {e.Code}).", e);
        }
        catch (RtcException e)
        {
            throw new ToolException("The caller's program could not be reached.", e);
        }
    }

    public async Task PressAsync(string keys, CancellationToken ct)
    {
        try
        {
            await Keys.PressAsync(Room, keys, plan.ParticipantIdentity, ct);
        }
        catch (RtcException e)
        {
            throw new ToolException("The keys could not be pressed.", e);
        }
    }

    private RtcRoom Room => _room ?? throw new ToolException("The room is not there yet.");
}

/// <summary>The keys of a telephone.</summary>
internal static class Keys
{
    public const string All = "0123456789*#ABCD";

    public static async Task PressAsync(RtcRoom room, string keys, string identity, CancellationToken ct)
    {
        foreach (var key in keys)
        {
            await room.LocalParticipant.PublishDtmfAsync((uint)All.IndexOf(key, StringComparison.Ordinal), key.ToString(), [identity], ct);
        }
    }
}
