namespace VoicePlatform.Sessions.Data;

internal sealed class SessionDb(DbContextOptions<SessionDb> options) : DbContext(options)
{
    public DbSet<Session> Sessions => Set<Session>();

    public DbSet<DeviceSettings> Devices => Set<DeviceSettings>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("session");
        modelBuilder.Entity<Session>(session =>
        {
            session.ToTable("sessions");
            session.Property(s => s.Status).HasConversion(s => s.ToString().ToLowerInvariant(), text => Enum.Parse<SessionStatus>(text, true));
            session.Property(s => s.Variables).HasColumnType("jsonb");
            session.Property(s => s.Metadata).HasColumnType("jsonb");
            session.Property(s => s.MaxDurationS);
            session.Property(s => s.Phone).HasColumnType("jsonb");
            session.Property(s => s.Overrides).HasColumnType("jsonb");
            session.Property(s => s.Analysis).HasColumnType("jsonb");
            session.Ignore(s => s.PhoneCall);
            session.Ignore(s => s.Channel);
        });
        modelBuilder.Entity<DeviceSettings>(device =>
        {
            device.ToTable("devices");
            device.HasKey(d => new { d.TenantId, d.DeviceId });
            device.Property(d => d.Settings).HasColumnType("jsonb");
        });
        modelBuilder.UseSnakeCaseColumns();
    }
}
