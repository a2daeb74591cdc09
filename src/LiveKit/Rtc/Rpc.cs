namespace VoicePlatform.LiveKit.Rtc;

/// <summary>A remote method call that failed, here or there.</summary>
/// <param name="code">1400 to 1505 are LiveKit's; see <see cref="RpcErrorCode"/>. Other numbers are the application's.</param>
/// <param name="message">At most 256 bytes travel.</param>
public sealed class RpcException(uint code, string message, string? data = null) : Exception(message)
{
    public uint Code => code;

    public string? ErrorData => data;
}

/// <summary>LiveKit's own error codes.</summary>
public static class RpcErrorCode
{
    public const uint UnsupportedMethod = 1400;
    public const uint RecipientNotFound = 1401;
    public const uint RequestPayloadTooLarge = 1402;
    public const uint UnsupportedServer = 1403;
    public const uint ApplicationError = 1500;
    public const uint ConnectionTimeout = 1501;
    public const uint ResponseTimeout = 1502;
    public const uint RecipientDisconnected = 1503;
    public const uint ResponsePayloadTooLarge = 1504;
    public const uint SendFailed = 1505;
}

/// <summary>A call that a remote participant makes of us.</summary>
/// <param name="ResponseTimeout">How long the caller still waits.</param>
public sealed record RpcInvocation(string Method, string RequestId, string CallerIdentity, string Payload, TimeSpan ResponseTimeout);
