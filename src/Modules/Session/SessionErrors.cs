namespace VoicePlatform.Sessions;

internal static class SessionErrors
{
    public static readonly Error NotFound = new(ErrorKind.NotFound, "session.not_found", "No such session.");
    public static readonly Error AlreadyEnded = new(ErrorKind.Conflict, "session.already_ended", "The session has ended.");
    public static readonly Error IsVoice = new(ErrorKind.Conflict, "session.is_voice", "This session is spoken: send text into its room on topic lk.chat instead.");
    public static readonly Error Busy = new(ErrorKind.Conflict, "session.busy", "The assistant is still answering the message before this one.");
    public static readonly Error NotCovered =
        new(ErrorKind.PaymentRequired, "session.not_covered", "The credits that were held for this session are not held any more: end it, and start another one.");
    public static readonly Error TextArchitecture =
        new(ErrorKind.Malformed, "assistant.text_only", "This assistant answers in text only: start the session with 'text_only': true.")
        {
            Fields = [new("assistant_id", "text_only", "This assistant answers in text only.")],
        };
    public static readonly Error NotEnded = new(ErrorKind.Conflict, "session.not_ended", "The conversation is not over yet.");
    public static readonly Error NoAnalysis = new(ErrorKind.NotFound, "analysis.not_found", "No analysis of this conversation was asked for.");
    public static readonly Error AnalysisPending = new(ErrorKind.Conflict, "analysis.pending", "An analysis of this conversation is being made.");
    public static readonly Error NothingSaid = new(ErrorKind.Conflict, "analysis.nothing_said", "The caller said nothing that could be analysed.");
    public static readonly Error RoomTaken = new(ErrorKind.Conflict, "session.room_taken", "A room of this name is in use.");
    public static readonly Error MediaUnavailable = new(ErrorKind.Unavailable, "media.unavailable", "The media server does not answer.");
}
