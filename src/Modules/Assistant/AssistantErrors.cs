namespace VoicePlatform.Assistants;

internal static class AssistantErrors
{
    public static readonly Error NotFound = new(ErrorKind.NotFound, "assistant.not_found", "No such assistant.");
    public static readonly Error VersionNotFound = new(ErrorKind.NotFound, "assistant.version_not_found", "The assistant has no such version.");
    public static readonly Error ChangedMeanwhile = new(ErrorKind.Conflict, "assistant.changed_meanwhile", "Somebody else changed the assistant at the same moment; read it and try again.");
}
