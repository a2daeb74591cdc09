using System.Text.Json;

namespace VoicePlatform.Assistants;

/// <summary>An assistant by whichever door.</summary>
internal sealed record NewAssistant(JsonElement Document) : ICommand<AssistantView>;

/// <summary>The given fields changed (RFC 7396: null removes, objects merge), as a new version.</summary>
/// <param name="IfMatch">The entity tag that the change was made for; empty: whatever it is now.</param>
internal sealed record ChangeAssistant(string AssistantId, JsonElement Patch, string IfMatch) : ICommand<AssistantView>;
