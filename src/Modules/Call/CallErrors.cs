namespace VoicePlatform.Calls;

internal static class CallErrors
{
    public static readonly Error NotFound = new(ErrorKind.NotFound, "call.not_found", "No such call.");
    public static readonly Error NoTrunk = new(ErrorKind.NotFound, "trunk.not_found", "No such outbound trunk.");
    public static readonly Error NotInProgress = new(ErrorKind.Conflict, "call.not_in_progress", "Nobody is on the line: the call has not been answered, or is over.");
    public static readonly Error AgentAbsent = new(ErrorKind.Conflict, "call.agent_absent", "The assistant is not in the call.");
    public static readonly Error NoRecording = new(ErrorKind.NotFound, "recording.not_found", "The call has no recording.");
    public static readonly Error RecordingNotReady = new(ErrorKind.Conflict, "recording.not_ready", "The recording is not finished yet.");
    public static readonly Error NotOver = new(ErrorKind.Conflict, "call.not_over", "The call is not over yet.");
    public static readonly Error NoAnalysis = new(ErrorKind.NotFound, "analysis.not_found", "No analysis of this call was asked for.");
    public static readonly Error NothingSaid = new(ErrorKind.Conflict, "analysis.nothing_said", "The caller said nothing that could be analysed.");
    public static readonly Error MediaUnavailable = new(ErrorKind.Unavailable, "media.unavailable", "The media server does not answer.");
    public static readonly Error TrunkNotReady = new(ErrorKind.Unavailable, "trunk.not_ready", "The media server does not have the trunk yet.");
    public static readonly Error TrunkFull = new(ErrorKind.Unavailable, "trunk.full", "The trunk has as many calls as it may.");
    public static readonly Error NotYours = Error.Field("from_number", "not_on_trunk", "'from_number' must be one of the trunk's numbers.");
}
