namespace VoicePlatform.Tenants.Data;

internal sealed class TenantDb(DbContextOptions<TenantDb> options) : DbContext(options)
{
    public DbSet<Tenant> Tenants => Set<Tenant>();
    public DbSet<User> Users => Set<User>();
    public DbSet<ApiKey> Keys => Set<ApiKey>();
    public DbSet<Secret> Secrets => Set<Secret>();
    public DbSet<Webhook> Webhooks => Set<Webhook>();

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
        modelBuilder.Entity<Webhook>().ToTable("webhooks");
        modelBuilder.UseSnakeCaseColumns();
    }
}
