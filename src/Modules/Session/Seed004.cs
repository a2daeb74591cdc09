namespace VoicePlatform.Sessions;

/// <summary>What seed 004's two doors say in its own way.</summary>
internal static class Seed004
{
    /// <summary>An id that is none belongs to nobody; null when it may be somebody's.</summary>
    public static Error? RefusalOf(string? agentId) =>
        string.IsNullOrEmpty(agentId) ? Error.Field("agent_id", "required", "'agent_id' is needed.")
        : Ids.IsWellFormed(agentId, Ids.Assistant) ? null
        : new Error(ErrorKind.NotFound, "assistant.not_found", "No such agent.");

    /// <summary>The seed knows no 503: a room that cannot be made is its 500.</summary>
    public static IResult Answer(Error error) =>
        error == SessionErrors.MediaUnavailable ? error.ToHttp(StatusCodes.Status500InternalServerError) : error.ToHttp();
}
