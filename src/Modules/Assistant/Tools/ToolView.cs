using System.Diagnostics.CodeAnalysis;
using VoicePlatform.Assistants.Data;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Tools;

/// <summary>A tool: what identifies it, then its fields, header values masked.</summary>
internal sealed record ToolView : ToolDocument
{
    public ToolView()
    {
    }

    [SetsRequiredMembers]
    private ToolView(Tool tool, SecretBox box)
        : base(tool.Show(box)) =>
        (Id, Revision, CreatedAt, UpdatedAt) = (tool.Id, tool.Revision, tool.CreatedAt, tool.UpdatedAt);

    public required string Id { get; init; }

    /// <summary>Counts up with every change; the entity tag.</summary>
    public required int Revision { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    public static ToolView Of(Tool tool, SecretBox box) => new(tool, box);

    public static IResult Answer(ToolView view, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, view, view.Revision, status, $"/v1/tools/{view.Id}");
}
