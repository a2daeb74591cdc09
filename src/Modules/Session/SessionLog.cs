namespace VoicePlatform.Sessions;

internal static partial class SessionLog
{
    [LoggerMessage(LogLevel.Warning, "The room of session {SessionId} could not be made")]
    public static partial void RoomFailed(ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Information, "Session {SessionId} ended: {Reason}, {DurationSeconds} s")]
    public static partial void Ended(ILogger logger, string sessionId, string reason, double durationSeconds);

    [LoggerMessage(LogLevel.Warning, "Session {SessionId} is not covered any longer and ends: {Reason}")]
    public static partial void NotCovered(ILogger logger, string sessionId, string reason);

    [LoggerMessage(LogLevel.Error, "The room of session {SessionId} could not be looked at; it is tried again")]
    public static partial void LookFailed(ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Information, "What was said in session {SessionId} is removed, as its assistant wanted")]
    public static partial void Forgotten(ILogger logger, string sessionId);

    [LoggerMessage(LogLevel.Warning, "A LiveKit webhook was refused: {Refusal}")]
    public static partial void WebhookRefused(ILogger logger, string refusal);

    [LoggerMessage(LogLevel.Warning, "Attempt {Attempt} to analyse session {SessionId} was put off: {Reason}")]
    public static partial void AnalysisPutOff(ILogger logger, string sessionId, int attempt, string reason);
}
