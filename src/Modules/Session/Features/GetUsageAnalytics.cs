using Dapper;

namespace VoicePlatform.Sessions.Features;

/// <summary>What conversations used and cost, by day, assistant or number: time, and each provider's quantities. At most 92 days at once.</summary>
internal static class GetUsageAnalytics
{
    private const int MaxGroups = 1_000;

    public static void Map(RouteGroupBuilder analytics) => analytics
        .MapGet("/usage", async (
            DateTimeOffset? from, DateTimeOffset? to, [Words<GroupBy>] string? group_by, string? assistant_id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, from, to, group_by, assistant_id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetUsageAnalytics))
        .Produces<Response>();

    public sealed record Query(string TenantId, DateTimeOffset? From, DateTimeOffset? To, string? GroupBy, string? AssistantId) : IRequest<Result<Response>>;

    public sealed record Response(DateTimeOffset From, DateTimeOffset To, GroupBy GroupBy, IReadOnlyList<UsageFigures> Data, UsageFigures Total);

    /// <param name="Group">The day, assistant or number; null in the total.</param>
    /// <param name="Sessions">Conversations that began in the time.</param>
    /// <param name="DurationS">Seconds of those that are over.</param>
    /// <param name="Cost">Micro-credits.</param>
    public sealed record UsageFigures(string? Group, long Sessions, double DurationS, long Cost, string Unit, IReadOnlyList<UsageOf> Components);

    /// <param name="Component">As on the rate card: speech_to_text, text_to_speech, llm_input and so on.</param>
    public sealed record UsageOf(string Component, string Provider, string Model, string Unit, long Quantity);

    internal sealed class Handler(UnitOfWork unit, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var period = Period.Of(request.From, request.To, request.GroupBy, clock.GetUtcNow());
            if (!period.IsOk)
            {
                return period.Error;
            }

            // Index sessions_by_time, then the usage of each session by its primary key.
            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Row>(new(
                $"""
                WITH seen AS (
                  SELECT {SessionGroups.Key(period.Value.GroupBy)} AS grp, s.id, s.started_at, s.ended_at, s.cost FROM session.sessions s
                  WHERE s.tenant_id = @TenantId AND s.created_at >= @From AND s.created_at < @To AND (@AssistantId IS NULL OR s.assistant_id = @AssistantId)),
                figures AS (
                  SELECT grp, grouping(grp) AS is_total, count(*) AS sessions, coalesce(round(sum(extract(epoch FROM ended_at - started_at))::numeric, 3), 0)::float8 AS duration_s,
                    coalesce(sum(cost), 0)::bigint AS cost
                  FROM seen GROUP BY GROUPING SETS ((grp), ())),
                used AS (
                  SELECT grp, grouping(grp) AS is_total, component, provider, model, unit, sum(quantity)::bigint AS quantity
                  FROM seen JOIN session.usage u ON u.session_id = seen.id AND NOT u.discarded
                  GROUP BY GROUPING SETS ((grp, component, provider, model, unit), (component, provider, model, unit)))
                SELECT f.grp AS "group", f.sessions, f.duration_s, f.cost,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('component', u.component, 'provider', u.provider, 'model', u.model, 'unit', u.unit, 'quantity', u.quantity)
                     ORDER BY u.component, u.provider, u.model) FROM used u WHERE u.is_total = f.is_total AND u.grp IS NOT DISTINCT FROM f.grp), '[]')::text AS components
                FROM figures f ORDER BY f.is_total DESC, f.grp LIMIT @MaxRows
                """,
                new { request.TenantId, period.Value.From, period.Value.To, request.AssistantId, MaxRows = MaxGroups + 1 },
                cancellationToken: cancellationToken))).Select(r => new UsageFigures(r.Group, r.Sessions, r.DurationS, r.Cost, Credits.Unit, Json.Read<List<UsageOf>>(r.Components))).ToList();
            return new Response(period.Value.From, period.Value.To, period.Value.GroupBy, rows.Skip(1).ToList(), rows[0]);
        }

        private sealed record Row
        {
            public string? Group { get; init; }
            public long Sessions { get; init; }
            public double DurationS { get; init; }
            public long Cost { get; init; }
            public required string Components { get; init; }
        }
    }
}
