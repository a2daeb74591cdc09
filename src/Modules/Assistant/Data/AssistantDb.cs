namespace VoicePlatform.Assistants.Data;

internal sealed class AssistantDb(DbContextOptions<AssistantDb> options) : DbContext(options)
{
    public DbSet<Assistant> Assistants => Set<Assistant>();
    public DbSet<Tool> Tools => Set<Tool>();
    public DbSet<DocumentVersion> Versions => Set<DocumentVersion>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("assistant");
        modelBuilder.Entity<Assistant>(assistant =>
        {
            assistant.ToTable("assistants");

            // Two changes at the same moment would both make version n + 1: the second finds n gone.
            assistant.Property(a => a.Version).IsConcurrencyToken();

            // A change that waited for a deletion finds nothing to change.
            assistant.Property(a => a.DeletedAt).IsConcurrencyToken();
        });
        modelBuilder.Entity<Tool>(tool =>
        {
            tool.ToTable("tools");
            tool.Property(t => t.Document).HasColumnType("jsonb");
            tool.Property(t => t.Revision).IsConcurrencyToken();
        });
        modelBuilder.Entity<DocumentVersion>(version =>
        {
            version.ToTable("versions");
            version.HasOne<Assistant>().WithMany().HasForeignKey(v => v.AssistantId);
            version.HasKey(v => new { v.AssistantId, v.Version });
            version.Property(v => v.Document).HasColumnType("jsonb");
        });
        modelBuilder.UseSnakeCaseColumns();
    }
}
