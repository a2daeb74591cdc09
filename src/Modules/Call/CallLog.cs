namespace VoicePlatform.Calls;

internal static partial class CallLog
{
    [LoggerMessage(LogLevel.Information, "Call {CallId} ended: {Status}, {Cause}, {DurationSeconds} s")]
    public static partial void Ended(ILogger logger, string callId, string status, string cause, double durationSeconds);

    [LoggerMessage(LogLevel.Warning, "Attempt {Attempt} of call {CallId} was put off: {Cause}")]
    public static partial void PutOff(ILogger logger, string callId, int attempt, string cause);

    [LoggerMessage(LogLevel.Error, "Attempt {Attempt} of call {CallId} failed")]
    public static partial void AttemptFailed(ILogger logger, string callId, int attempt, Exception exception);

    [LoggerMessage(LogLevel.Error, "Looking for calls to dial failed")]
    public static partial void ClaimFailed(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Error, "A call could not be ended; it is tried again")]
    public static partial void SweepFailed(ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "The context of call to {NumberId} could not be had: {Cause}")]
    public static partial void NoContext(ILogger logger, string numberId, string cause);

    [LoggerMessage(LogLevel.Warning, "An inbound call to {NumberId} was refused: {Cause}")]
    public static partial void InboundRefused(ILogger logger, string numberId, string cause);

    [LoggerMessage(LogLevel.Warning, "The recorder of call {CallId} did not start: {Cause}")]
    public static partial void RecorderFailed(ILogger logger, string callId, string cause);

    [LoggerMessage(LogLevel.Error, "The recording of call {CallId}, whose time is over, could not be removed; it is tried again")]
    public static partial void RecordingNotRemoved(ILogger logger, string callId, Exception exception);

    [LoggerMessage(LogLevel.Warning, "What became of the recording of call {CallId} is not known yet")]
    public static partial void RecordingUnknown(ILogger logger, string callId, Exception exception);
}
