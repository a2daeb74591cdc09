namespace VoicePlatform.Assistants;

internal static class AssistantErrors
{
    public static readonly Error NotFound = new(ErrorKind.NotFound, "assistant.not_found", "No such assistant.");
    public static readonly Error VersionNotFound = new(ErrorKind.NotFound, "assistant.version_not_found", "The assistant has no such version.");
    public static readonly Error ToolNotFound = new(ErrorKind.NotFound, "tool.not_found", "No such tool.");
    public static readonly Error ToolChangedMeanwhile = new(ErrorKind.Conflict, "tool.changed_meanwhile", "Somebody else changed the tool at the same moment; read it and try again.");

    public static readonly Error SecretsNeedAdmin = new(
        ErrorKind.Forbidden, "tool.secrets_need_admin", "To name a secret in a tool's header, or to send it to another server, takes a key of scope admin.");

    public static Error ToolInUse(IReadOnlyList<string> assistants) => new(
        ErrorKind.Conflict, "tool.in_use", $"Assistants have this tool ({string.Join(", ", assistants)}): take it from them first.");

    public static readonly Error ChangedMeanwhile = new(ErrorKind.Conflict, "assistant.changed_meanwhile", "Somebody else changed the assistant at the same moment; read it and try again.");
}
