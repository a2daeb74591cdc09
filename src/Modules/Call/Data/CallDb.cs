using System.Text.Json;

namespace VoicePlatform.Calls.Data;

internal sealed class CallDb(DbContextOptions<CallDb> options) : DbContext(options)
{
    public DbSet<Call> Calls => Set<Call>();

    /// <summary>The call, locked until the transaction ends: whoever changes it comes through here.</summary>
    public Task<Call?> LockedAsync(string callId, CancellationToken ct) =>
        Calls.FromSql($"SELECT * FROM call.calls WHERE id = {callId} FOR UPDATE").SingleOrDefaultAsync(ct);

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("call");
        modelBuilder.Entity<Call>(call =>
        {
            call.ToTable("calls");
            call.Property(c => c.Direction).HasConversion(v => Text(v), text => Parse<Contracts.Sessions.CallDirection>(text));
            call.Property(c => c.Status).HasConversion(v => Text(v), text => Parse<CallStatus>(text));
            call.Property(c => c.Fault).HasConversion(v => v == null ? null : Text(v.Value), text => text == null ? null : Parse<Fault>(text));
            call.Property(c => c.RecordingStatus).HasConversion(v => v == null ? null : Text(v.Value), text => text == null ? null : Parse<RecordingStatus>(text));
            foreach (var json in new[] { nameof(Call.Metadata), nameof(Call.Variables), nameof(Call.Overrides), nameof(Call.Voicemail), nameof(Call.Retry), nameof(Call.CostLines) })
            {
                call.Property(json).HasColumnType("jsonb");
            }

            call.Ignore(c => c.RetryRule);
            call.Ignore(c => c.Phone);
        });
        modelBuilder.UseSnakeCaseColumns();
        modelBuilder.Entity<Call>().Property(c => c.IsSeed003).HasColumnName("is_seed_003");
    }

    /// <summary>An enum's word as the API and the tables have it ("in_progress").</summary>
    internal static string Text<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());

    internal static T Parse<T>(string text)
        where T : struct, Enum => Enum.Parse<T>(text.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
}
