using System.Diagnostics.CodeAnalysis;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants;

/// <summary>An assistant: what identifies it, then the fields of its document.</summary>
internal sealed record AssistantView : AssistantDocument
{
    public AssistantView()
    {
    }

    [SetsRequiredMembers]
    private AssistantView(Assistant assistant, AssistantDocument document)
        : base(document) =>
        (Id, Version, CreatedAt, UpdatedAt) = (assistant.Id, assistant.Version, assistant.CreatedAt, assistant.UpdatedAt);

    public required string Id { get; init; }

    /// <summary>Counts up with every change.</summary>
    public required int Version { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    public static AssistantView Of(Assistant assistant, AssistantDocument document) => new(assistant, document);

    public static IResult Answer(AssistantView view, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, view, view.Version, status, $"/v1/assistants/{view.Id}");
}
