using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.LiveKit.ServerApi;

public static class EgressStatuses
{
    /// <summary>Nothing more will be recorded, and what was is where it belongs.</summary>
    public static bool IsOver(this EgressStatus status) =>
        status is EgressStatus.EgressComplete or EgressStatus.EgressFailed or EgressStatus.EgressAborted or EgressStatus.EgressLimitReached;
}
