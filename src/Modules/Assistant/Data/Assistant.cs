using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Data;

internal sealed class Assistant
{
    public string Id { get; private init; } = "";
    public string TenantId { get; private init; } = "";
    public string Name { get; private set; } = "";
    public int Version { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }
    public DateTimeOffset? DeletedAt { get; private set; }

    public static (Assistant Assistant, DocumentVersion First) Create(string tenantId, AssistantDocument document, string? by, DateTimeOffset now)
    {
        var assistant = new Assistant { Id = Ids.New(Ids.Assistant, now), TenantId = tenantId, Name = document.Name, Version = 1, CreatedAt = now, UpdatedAt = now };
        return (assistant, new(assistant.Id, 1, Json.Write(document), now, by));
    }

    /// <summary>Every change is a new version; the old ones stay as they are.</summary>
    public DocumentVersion Change(AssistantDocument document, string? by, DateTimeOffset now)
    {
        (Name, Version, UpdatedAt) = (document.Name, Version + 1, now);
        return new(Id, Version, Json.Write(document), now, by);
    }

    public void Delete(DateTimeOffset now) => (DeletedAt, UpdatedAt) = (now, now);
}

internal sealed record DocumentVersion(string AssistantId, int Version, string Document, DateTimeOffset CreatedAt, string? CreatedBy);
