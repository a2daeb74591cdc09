namespace VoicePlatform.LiveKit.Rtc;

/// <summary>Something asked of the realtime library failed; the message says what and why.</summary>
public sealed class RtcException(string message, Exception? cause = null) : Exception(message, cause);
