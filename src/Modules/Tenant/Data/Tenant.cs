namespace VoicePlatform.Tenants.Data;

internal sealed class Tenant
{
    public const int NameMaxLength = 200;

    public string Id { get; private init; } = "";
    public string Name { get; private set; } = "";

    /// <summary>Where the platform writes to about credits and webhooks; null: to the tenant's owners.</summary>
    public string? ContactEmail { get; private set; }
    public int Revision { get; private set; }
    public DateTimeOffset CreatedAt { get; private init; }
    public DateTimeOffset UpdatedAt { get; private set; }

    public static Tenant Open(string name, DateTimeOffset now) => new() { Id = Ids.New(Ids.Tenant, now), Name = name, Revision = 1, CreatedAt = now, UpdatedAt = now };

    public void Change(string name, string? contactEmail, DateTimeOffset now) =>
        (Name, ContactEmail, Revision, UpdatedAt) = (name, contactEmail, Revision + 1, now);
}
