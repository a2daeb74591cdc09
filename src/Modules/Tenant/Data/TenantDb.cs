namespace VoicePlatform.Tenants.Data;

internal sealed class TenantDb(DbContextOptions<TenantDb> options) : DbContext(options)
{
    public DbSet<Tenant> Tenants => Set<Tenant>();
    public DbSet<User> Users => Set<User>();
    public DbSet<ApiKey> Keys => Set<ApiKey>();
    public DbSet<Secret> Secrets => Set<Secret>();
    public DbSet<Webhook> Webhooks => Set<Webhook>();

    /// <summary>A webhook that is to be changed: whoever else wants to waits. Null when there is none (any more).</summary>
    public async Task<Webhook?> LockWebhookAsync(string id, CancellationToken ct) =>
        (await Webhooks.FromSql($"SELECT * FROM tenant.webhooks WHERE id = {id} AND deleted_at IS NULL FOR UPDATE").ToListAsync(ct)).SingleOrDefault();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("tenant");
        modelBuilder.Entity<Tenant>(tenant =>
        {
            tenant.ToTable("tenants");
            tenant.Property(t => t.Revision).IsConcurrencyToken();
        });
        modelBuilder.Entity<User>(user =>
        {
            user.ToTable("users");
            user.HasOne<Tenant>().WithMany().HasForeignKey(u => u.TenantId);
            user.Property(u => u.Role).HasConversion(r => Roles.Text(r), text => Roles.Parse(text));
            user.Property(u => u.Revision).IsConcurrencyToken();
        });
        modelBuilder.Entity<ApiKey>(key =>
        {
            key.ToTable("keys");
            key.HasOne<User>().WithMany().HasForeignKey(k => k.UserId);
            key.Property(k => k.Revision).IsConcurrencyToken();
            key.Property(k => k.Mode).HasConversion(m => m.ToString().ToLowerInvariant(), text => Enum.Parse<KeyMode>(text, true));
        });
        modelBuilder.Entity<Secret>(secret =>
        {
            secret.ToTable("secrets");
            secret.HasKey(x => new { x.TenantId, x.Name });
            secret.Property(x => x.Revision).IsConcurrencyToken();
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
