using System.Diagnostics.Metrics;

namespace VoicePlatform.Billing.Ledger;

/// <summary>
/// Reconciles the last days every night. The operator must know of a difference (a warning for each of the first hundred, and their number as a metric), and so must the
/// tenant: an event, once.
/// </summary>
internal sealed partial class ReconcileDaily(Reconciliation reconciliation, IMediator mediator, TimeProvider clock, ILogger<ReconcileDaily> log) : IScheduledJob
{
    private const int MaxLogged = 100;

    /// <summary>How long before now is looked at: a night that fails is made up for by the next ones.</summary>
    public static readonly TimeSpan Looked = TimeSpan.FromDays(3);

    private static readonly Meter Meter = new("VoicePlatform.Billing");
    private static readonly Gauge<long> Differences = Meter.CreateGauge<long>(
        "voiceplatform.billing.differences", "{difference}", "Conversations and charges that do not agree, as the last reconciliation found them.");

    public string Name => "billing.reconcile";

    public Schedule Schedule => new Schedule.DailyAt(new TimeOnly(2, 30));

    public async Task RunAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        var logged = 0;
        var result = await reconciliation.RunAsync(now - Looked, now, ct, TellAsync);
        if (!result.IsOk)
        {
            throw new InvalidOperationException(result.Error.Code);
        }

        var report = result.Value;
        Differences.Record(report.DifferenceCount);
        Reconciled(log, report.Conversations, report.Holds, report.DifferenceCount);

        async Task TellAsync(IReadOnlyList<Difference> differences)
        {
            foreach (var d in differences)
            {
                var noted = await mediator.Send(new NoteDifference(d), ct);
                if (!noted.IsOk)
                {
                    throw new InvalidOperationException(noted.Error.Code);
                }

                if (logged++ < MaxLogged)
                {
                    Differs(log, d.What, d.SubjectId, d.TenantId, d.Charged, d.Cost);
                }
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "The ledger differs ({What}): {SubjectId} of {TenantId} was charged {Charged}, cost {Cost}")]
    private static partial void Differs(ILogger log, string what, string subjectId, string tenantId, long? charged, long? cost);

    [LoggerMessage(LogLevel.Information, "Reconciled {Conversations} conversations with {Holds} holds: {Differences} differences")]
    private static partial void Reconciled(ILogger log, long conversations, long holds, long differences);
}
