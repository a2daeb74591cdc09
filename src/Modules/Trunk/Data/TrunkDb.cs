namespace VoicePlatform.Trunks.Data;

internal sealed class TrunkDb(DbContextOptions<TrunkDb> options) : DbContext(options)
{
    public DbSet<Trunk> Trunks => Set<Trunk>();
    public DbSet<PhoneNumber> Numbers => Set<PhoneNumber>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("trunk");
        modelBuilder.Entity<Trunk>(trunk =>
        {
            trunk.ToTable("trunks");
            trunk.Property(t => t.Type).HasConversion(v => Text(v), text => Enum.Parse<TrunkType>(text, true));
            trunk.Property(t => t.Direction).HasConversion(v => Text(v), text => Enum.Parse<TrunkDirection>(text, true));
            trunk.Property(t => t.Transport).HasConversion(v => Text(v), text => Enum.Parse<Transport>(text, true));
            trunk.Property(t => t.MediaEncryption).HasConversion(v => Text(v), text => Enum.Parse<MediaEncryption>(text, true));

            // Two changes at the same moment: the second finds its revision gone.
            trunk.Property(t => t.Revision).IsConcurrencyToken();
        });
        modelBuilder.Entity<PhoneNumber>(number =>
        {
            number.ToTable("numbers");
            number.HasOne<Trunk>().WithMany().HasForeignKey(n => n.TrunkId);
            number.Property(n => n.Revision).IsConcurrencyToken();
        });
        modelBuilder.UseSnakeCaseColumns();
    }

    private static string Text<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
