using Dapper;

namespace VoicePlatform.Calls.Features;

/// <summary>How calls went, by day, assistant or number: outcomes, answer rate, time, cost. Calls count by when they were made; at most 92 days at once.</summary>
internal static class GetCallAnalytics
{
    private const int MaxGroups = 1_000;

    public static void Map(RouteGroupBuilder analytics) => analytics
        .MapGet("/calls", async (
            DateTimeOffset? from, DateTimeOffset? to, string? group_by, string? assistant_id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, from, to, group_by, assistant_id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetCallAnalytics))
        .Produces<Response>();

    public sealed record Query(string TenantId, DateTimeOffset? From, DateTimeOffset? To, string? GroupBy, string? AssistantId) : IRequest<Result<Response>>;

    public sealed record Response(DateTimeOffset From, DateTimeOffset To, GroupBy GroupBy, IReadOnlyList<CallFigures> Data, CallFigures Total);

    public sealed record CallFigures
    {
        /// <summary>The day, assistant or number; null in the total.</summary>
        public string? Group { get; init; }
        public long Calls { get; init; }
        public long Inbound { get; init; }
        public long Outbound { get; init; }
        public long Completed { get; init; }
        public long Voicemail { get; init; }
        public long Busy { get; init; }
        public long NoAnswer { get; init; }
        public long Rejected { get; init; }
        public long Canceled { get; init; }
        public long Failed { get; init; }

        /// <summary>Calls that are not over.</summary>
        public long Open { get; init; }
        public long Answered { get; init; }

        /// <summary>Answered calls of those that are over, 0 to 1; null where none is over.</summary>
        public double? AnswerRate { get; init; }

        /// <summary>Seconds talked, in all.</summary>
        public double DurationS { get; init; }

        /// <summary>Seconds an answered call lasted, on average.</summary>
        public double? AverageDurationS { get; init; }

        /// <summary>Micro-credits.</summary>
        public long Cost { get; init; }
        public string Unit { get; init; } = Credits.Unit;
    }

    internal sealed class Handler(UnitOfWork unit, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var period = Period.Of(request.From, request.To, request.GroupBy, clock.GetUtcNow());
            if (!period.IsOk)
            {
                return period.Error;
            }

            var key = period.Value.GroupBy switch
            {
                GroupBy.Day => "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
                GroupBy.Assistant => "assistant_id",
                GroupBy.Number => "CASE direction WHEN 'inbound' THEN to_number ELSE from_number END",
                _ => throw new ArgumentOutOfRangeException(nameof(request), period.Value.GroupBy, null),
            };

            // Index calls_by_time. The total comes from the same rows, so that it is the total of what is shown.
            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<CallFigures>(new(
                $"""
                WITH seen AS (
                  SELECT {key} AS grp, direction, status, answered_at, ended_at, cost FROM call.calls
                  WHERE tenant_id = @TenantId AND created_at >= @From AND created_at < @To AND (@AssistantId IS NULL OR assistant_id = @AssistantId))
                SELECT grp AS "group", grouping(grp) AS is_total, count(*) AS calls,
                  count(*) FILTER (WHERE direction = 'inbound') AS inbound, count(*) FILTER (WHERE direction = 'outbound') AS outbound,
                  count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'voicemail') AS voicemail,
                  count(*) FILTER (WHERE status = 'busy') AS busy, count(*) FILTER (WHERE status = 'no_answer') AS no_answer,
                  count(*) FILTER (WHERE status = 'rejected') AS rejected, count(*) FILTER (WHERE status = 'canceled') AS canceled,
                  count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE ended_at IS NULL) AS open,
                  count(answered_at) AS answered,
                  round(count(answered_at) FILTER (WHERE ended_at IS NOT NULL)::numeric / nullif(count(ended_at), 0), 4)::float8 AS answer_rate,
                  coalesce(round(sum(extract(epoch FROM ended_at - answered_at))::numeric, 3), 0)::float8 AS duration_s,
                  round(avg(extract(epoch FROM ended_at - answered_at))::numeric, 3)::float8 AS average_duration_s,
                  coalesce(sum(cost), 0)::bigint AS cost
                FROM seen GROUP BY GROUPING SETS ((grp), ()) ORDER BY is_total DESC, grp LIMIT @MaxRows
                """,
                new { request.TenantId, period.Value.From, period.Value.To, request.AssistantId, MaxRows = MaxGroups + 1 },
                cancellationToken: cancellationToken))).ToList();
            return new Response(period.Value.From, period.Value.To, period.Value.GroupBy, rows.Skip(1).ToList(), rows[0]);
        }
    }
}
