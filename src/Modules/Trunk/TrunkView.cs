using System.Diagnostics.CodeAnalysis;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks;

/// <summary>A trunk: what identifies it, its settings, and whether LiveKit has it yet.</summary>
internal sealed record TrunkView : TrunkSettings
{
    public TrunkView()
    {
    }

    [SetsRequiredMembers]
    private TrunkView(Trunk t)
        : base(Of(t)) =>
        (Id, Revision, CreatedAt, UpdatedAt, Sync) = (t.Id, t.Revision, t.CreatedAt, t.UpdatedAt, new(t.SyncedRevision == t.Revision ? SyncStatus.Synced : SyncStatus.Pending, t.SyncError));

    public required string Id { get; init; }

    /// <summary>Counts up with every change; the entity tag.</summary>
    public required int Revision { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
    public required TrunkSyncView Sync { get; init; }

    public static TrunkView ViewOf(Trunk t) => new(t);

    public static IResult Answer(TrunkView view, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, view, view.Revision, status, $"/v1/trunks/{view.Id}");
}

/// <summary>Whether the media server knows the trunk as it is now.</summary>
internal enum SyncStatus { Pending, Synced }

/// <param name="Error">Why it does not yet, where that is known.</param>
internal sealed record TrunkSyncView(SyncStatus Status, string? Error);

internal sealed record NumberView(
    string Id, string Number, string TrunkId, string AssistantId, string Name, string? ContextUrl, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static NumberView Of(PhoneNumber n) => new(n.Id, n.Number, n.TrunkId, n.AssistantId, n.Name, n.ContextUrl, n.CreatedAt, n.UpdatedAt);
}

/// <summary>A number with the revision that its entity tag tells.</summary>
internal sealed record NumberAnswer(NumberView Number, int Revision)
{
    public static NumberAnswer Of(PhoneNumber n) => new(NumberView.Of(n), n.Revision);

    public static IResult Tell(NumberAnswer answer, HttpContext http, int status = StatusCodes.Status200OK) =>
        Etag.Answer(http, answer.Number, answer.Revision, status, $"/v1/numbers/{answer.Number.Id}");
}
