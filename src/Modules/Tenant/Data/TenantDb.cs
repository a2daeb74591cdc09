namespace VoicePlatform.Tenants.Data;

internal sealed class TenantDb(DbContextOptions<TenantDb> options) : DbContext(options)
{
    public DbSet<Tenant> Tenants => Set<Tenant>();
    public DbSet<User> Users => Set<User>();
    public DbSet<ApiKey> Keys => Set<ApiKey>();
    public DbSet<Webhook> Webhooks => Set<Webhook>();

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
        modelBuilder.Entity<Webhook>().ToTable("webhooks");
        modelBuilder.UseSnakeCaseColumns();
    }
}
