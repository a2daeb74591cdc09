using Dapper;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Answers;

/// <summary>Two transactions on purpose: what was said is kept even when the credits for going on are missing.</summary>
internal sealed class ReportProgressHandler(IMediator mediator, ILogger<ReportProgressHandler> log) : IRequestHandler<ReportProgress, Result<ReportAnswer>>
{
    public async Task<Result<ReportAnswer>> Handle(ReportProgress request, CancellationToken cancellationToken)
    {
        var kept = await mediator.Send(new Keep(request), cancellationToken);
        if (!kept.IsOk)
        {
            return kept.Error;
        }

        if (kept.Value.Expected is not { } expected)
        {
            return new ReportAnswer(Continuation.Ended);
        }

        var extended = await mediator.Send(new ExtendHold(kept.Value.TenantId, kept.Value.HoldSubject, expected, kept.Value.Needed), cancellationToken);
        if (extended.IsOk && extended.Value is not Cover.Over && (extended.Value is not Cover.NotNeeded || kept.Value.IsTest))
        {
            return new ReportAnswer(Continuation.GoOn, extended.Value is Cover.NotNeeded ? null : kept.Value.Covered);
        }

        if (extended.Error is { Kind: ErrorKind.Unavailable } later)
        {
            return later;
        }

        // Whatever refuses it: what is not held is not talked through.
        SessionLog.NotCovered(log, request.SessionId, extended.Error?.Code ?? (extended.Value is Cover.Over ? "its hold is over" : "it has no hold"));
        return new ReportAnswer(Continuation.OutOfCredits, TimeSpan.Zero);
    }

    internal sealed record Keep(ReportProgress Report) : ICommand<Kept>;

    /// <param name="Expected">What the hold must cover to go on; null when the session has ended.</param>
    /// <param name="Needed">With less than this the hold is raised.</param>
    /// <param name="Covered">How much longer it is paid for when that is held; null: to its end.</param>
    /// <param name="IsTest">It costs nothing, and holds nothing.</param>
    internal sealed record Kept(string TenantId, string HoldSubject, IReadOnlyList<Measured>? Expected, IReadOnlyList<Measured>? Needed = null, TimeSpan? Covered = null, bool IsTest = false);

    internal sealed class KeepHandler(UnitOfWork unit, IMediator mediator, TimeProvider clock) : IRequestHandler<Keep, Result<Kept>>
    {
        public async Task<Result<Kept>> Handle(Keep request, CancellationToken cancellationToken)
        {
            var report = request.Report;
            var now = clock.GetUtcNow();
            var at = report.At < now ? report.At.Value : now;

            // The row lock orders this report and the session's end: after the end, a late report still keeps its lines but holds nothing.
            var row = await unit.Connection.QuerySingleOrDefaultAsync<SessionRow>(new(
                """
                WITH before AS (SELECT id, status FROM session.sessions WHERE id = @SessionId FOR UPDATE)
                UPDATE session.sessions s SET
                  last_seen_at = CASE WHEN s.status = 'ended' THEN s.last_seen_at ELSE greatest(s.last_seen_at, @at) END,
                  started_at = CASE WHEN @CallerPresent AND s.status = 'created' THEN greatest(s.created_at, @at) ELSE s.started_at END,
                  status = CASE WHEN @CallerPresent AND s.status = 'created' THEN 'active' ELSE s.status END
                FROM before WHERE s.id = before.id
                RETURNING s.tenant_id, s.hold_subject, s.status, s.started_at, s.text_only, s.max_duration_s, s.call_id,
                  s.phone->>'direction' AS direction, s.phone->>'to_number' AS number, s.is_recorded, s.is_test,
                  before.status = 'created' AND s.status = 'active' AS has_started
                """,
                new { report.SessionId, report.CallerPresent, at }, unit.Transaction, cancellationToken: cancellationToken));
            if (row is null)
            {
                return SessionErrors.NotFound;
            }

            var before = row.Status == "ended" ? await unit.UsageAsync(report.SessionId, cancellationToken) : [];
            var discarded = row.Status == "ended" ? await unit.DiscardedAsync(report.SessionId, cancellationToken) : [];
            await unit.AppendAsync(report.SessionId, report.Lines, report.Turns, report.Usage, report.Notes, cancellationToken);
            unit.AfterCommit(() => report.Turns.ToList().ForEach(SessionMetrics.Turn));
            if (row.Status == "ended")
            {
                if (report.Lines.Count + report.Notes.Count > 0)
                {
                    await KeepAsLongAsWantedAsync(report.SessionId, cancellationToken);
                }

                var charged = await ChargeLateAsync(report.SessionId, row, before, discarded, cancellationToken);
                return charged.IsOk ? new Kept(row.TenantId, row.HoldSubject, null) : charged.Error;
            }

            if (row is { HasStarted: true, CallId: { } callId })
            {
                await mediator.Publish((INotification)new PhoneSessionStarted(report.SessionId, callId, row.StartedAt ?? at), cancellationToken);
            }

            // Whole slices, of time and of use, so that the hold is raised once a slice and not with every report.
            var elapsed = at - (row.StartedAt ?? at);
            var slices = Math.Ceiling((elapsed + Pricing.Lead) / Pricing.Slice);
            var used = await unit.UsageAsync(report.SessionId, cancellationToken);
            var longest = Session.LongestOf(row.MaxDurationS);
            var past = Pricing.Slice * (slices - 1);
            return new Kept(
                row.TenantId, row.HoldSubject, Pricing.Raised(row.Channel, used, past, longest), Pricing.Ahead(row.Channel, used, past, longest),
                Pricing.CoverOf(slices, longest) - elapsed, row.IsTest);
        }

        /// <summary>What is told after the end is removed when its time comes too, also where that has been.</summary>
        private Task KeepAsLongAsWantedAsync(string sessionId, CancellationToken ct) => unit.Connection.ExecuteAsync(new(
            """
            UPDATE session.sessions SET forget_at = coalesce(forget_at, ended_at + make_interval(days => retention_days)), cleared_at = NULL
            WHERE id = @sessionId AND retention_days IS NOT NULL
            """, new { sessionId }, unit.Transaction, cancellationToken: ct));

        /// <summary>Somebody else ended the conversation (a request, the sweeper) before its agent had told all that it used.</summary>
        private async Task<Result<Done>> ChargeLateAsync(string sessionId, SessionRow row, List<StoredUsage> before, List<StoredUsage> discarded, CancellationToken ct)
        {
            var (after, allDiscarded) = (await unit.UsageAsync(sessionId, ct), await unit.DiscardedAsync(sessionId, ct));
            if (row.StartedAt is null || after.Concat(allDiscarded).Select(u => u.Quantity).SequenceEqual(before.Concat(discarded).Select(u => u.Quantity)))
            {
                return default(Done);
            }

            // How long it lasted is known since its end, and charged.
            var late = await mediator.Send(
                new ChargeLateUse(
                    row.TenantId, row.HoldSubject, Pricing.Used(row.Channel, before, TimeSpan.Zero, discarded), Pricing.Used(row.Channel, after, TimeSpan.Zero, allDiscarded)), ct);
            if (!late.IsOk || late.Value.TransactionId is null)
            {
                return late.IsOk ? default(Done) : late.Error;
            }

            await unit.Connection.ExecuteAsync(new(
                "UPDATE session.sessions SET cost = coalesce(cost, 0) + @Cost WHERE id = @sessionId", new { sessionId, late.Value.Cost }, unit.Transaction, cancellationToken: ct));
            if (row.CallId is { } callId)
            {
                await mediator.Publish((INotification)new PhoneSessionAdjusted(sessionId, callId, late.Value), ct);
                return default(Done);
            }

            return await mediator.Send(
                new Announce(row.TenantId, "session.adjusted", sessionId, Json.Write(new
                {
                    session_id = sessionId,
                    adjustment = new { amount = late.Value.Cost, unit = Credits.Unit, late.Value.TransactionId, late.Value.Lines },
                }), row.IsTest), ct);
        }

        private sealed record SessionRow
        {
            public required string TenantId { get; init; }
            public required string Status { get; init; }
            public DateTimeOffset? StartedAt { get; init; }
            public required string HoldSubject { get; init; }
            public bool TextOnly { get; init; }
            public int MaxDurationS { get; init; }
            public string? CallId { get; init; }
            public string? Direction { get; init; }
            public string? Number { get; init; }
            public bool IsRecorded { get; init; }
            public bool HasStarted { get; init; }
            public bool IsTest { get; init; }

            public Channel Channel => new(TextOnly, Direction is null ? null : Enum.Parse<CallDirection>(Direction, ignoreCase: true), IsRecorded, Number);
        }
    }
}
