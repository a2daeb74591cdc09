using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Agent.Worker;

/// <summary>Hands a caller over, as every LiveKit agent does it: the SIP service is asked to refer the telephone.</summary>
internal static class PhoneTransfer
{
    /// <summary>Never fails: answers why it did not come about, or null.</summary>
    public static async Task<string?> RunAsync(IServiceScopeFactory scopes, ConversationPlan plan, string to)
    {
        try
        {
            await using var scope = scopes.CreateAsyncScope();
            var answer = await scope.ServiceProvider.GetRequiredService<LiveKitApi>().Sip.TransferParticipantAsync(
                new TransferSIPParticipantRequest { RoomName = plan.RoomName, ParticipantIdentity = plan.ParticipantIdentity, TransferTo = E164.IsValid(to) ? $"tel:{to}" : to },
                CancellationToken.None);
            return answer.Status is SIPTransferStatus.StsTransferFailed ? answer.SipStatus?.Status ?? answer.Reason.ToString() : null;
        }
        catch (Exception e) when (e is LiveKitApiException or HttpRequestException or OperationCanceledException)
        {
            return e.Message;
        }
    }
}
