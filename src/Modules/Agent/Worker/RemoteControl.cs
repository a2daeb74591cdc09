using System.Text.Json;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Worker;

/// <summary>What the server API may have a running assistant do, as remote methods of its participant.</summary>
internal static class RemoteControl
{
    private const uint Refused = 4_000;
    private const int LongestText = 4_000;
    private const int MostKeys = 64;

    public static void Attach(RtcRoom room, ConversationPlan plan, Conversation conversation)
    {
        room.LocalParticipant.RegisterRpcMethod("assistant.say", async (call, ct) =>
        {
            RequireServer(room, call);
            var text = Read(call).Text?.Trim() ?? "";
            if (text.Length is 0 or > LongestText)
            {
                throw new RpcException(Refused, $"A text of 1 to {LongestText} characters is needed.");
            }

            await conversation.PostAsync(new ConversationEvent.Say(text), ct);
            return "";
        });
        room.LocalParticipant.RegisterRpcMethod("assistant.dtmf", async (call, ct) =>
        {
            RequireServer(room, call);
            var keys = Read(call).Digits?.Trim().ToUpperInvariant() ?? "";
            if (keys.Length is 0 or > MostKeys || keys.Any(key => !Keys.All.Contains(key, StringComparison.Ordinal)))
            {
                throw new RpcException(Refused, $"1 to {MostKeys} of the keys {Keys.All} are needed.");
            }

            await Keys.PressAsync(room, keys, plan.ParticipantIdentity, ct);
            return "";
        });
    }

    private static Order Read(RpcInvocation call)
    {
        try
        {
            return Json.Read<Order>(call.Payload);
        }
        catch (JsonException)
        {
            throw new RpcException(Refused, "An object is needed.");
        }
    }

    private sealed record Order(string? Text = null, string? Digits = null);

    /// <summary>The server is nobody in the room: who is there must not direct the assistant.</summary>
    private static void RequireServer(RtcRoom room, RpcInvocation call)
    {
        if (room.RemoteParticipants.ContainsKey(call.CallerIdentity))
        {
            throw new RpcException(Refused, "Only the server may do this.");
        }
    }
}
