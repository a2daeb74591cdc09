namespace VoicePlatform.Tenants.Data;

internal sealed class TenantDb(DbContextOptions<TenantDb> options) : DbContext(options)
{
    public DbSet<Tenant> Tenants => Set<Tenant>();
    public DbSet<User> Users => Set<User>();
    public DbSet<ApiKey> Keys => Set<ApiKey>();
    public DbSet<Webhook> Webhooks => Set<Webhook>();

    /// <summary>A webhook that is to be changed: whoever else wants to waits. Null when there is none (any more).</summary>
    public async Task<Webhook?> LockWebhookAsync(string id, CancellationToken ct) =>
        (await Webhooks.FromSql($"SELECT * FROM tenant.webhooks WHERE id = {id} AND deleted_at IS NULL FOR UPDATE").ToListAsync(ct)).SingleOrDefault();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("tenant");
        modelBuilder.Entity<Tenant>().ToTable("tenants");
        modelBuilder.Entity<User>(user =>
        {
            user.ToTable("users");
            user.HasOne<Tenant>().WithMany().HasForeignKey(u => u.TenantId);
        });
        modelBuilder.Entity<ApiKey>(key =>
        {
            key.ToTable("keys");
            key.HasOne<User>().WithMany().HasForeignKey(k => k.UserId);
            key.Property(k => k.Mode).HasConversion(m => m.ToString().ToLowerInvariant(), text => Enum.Parse<KeyMode>(text, true));
        });
        modelBuilder.Entity<Webhook>(webhook =>
        {
            webhook.ToTable("webhooks");
            webhook.Property(w => w.Signing).HasConversion(s => s.ToString().ToLowerInvariant(), text => Enum.Parse<Signing>(text, true));
            webhook.Property(w => w.DisabledReason).HasConversion(r => r.ToString()!.ToLowerInvariant(), text => Enum.Parse<DisabledReason>(text, true));
        });
        modelBuilder.UseSnakeCaseColumns();
    }
}
