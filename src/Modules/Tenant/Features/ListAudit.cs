using System.Text.Json;
using Dapper;

namespace VoicePlatform.Tenants.Features;

/// <summary>Who changed what and when: configuration, keys, people, money. Newest first.</summary>
internal static class ListAudit
{
    public static void Map(RouteGroupBuilder audit) => audit
        .MapGet("/", async (
            int? limit, string? starting_after, string? action, string? subject_id, string? user_id, DateTimeOffset? from, DateTimeOffset? to,
            Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, new(limit, starting_after), action, subject_id, user_id, from, to), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(ListAudit))
        .Produces<Page<Line>>();

    public sealed record Query(string TenantId, PageQuery Page, string? Action, string? SubjectId, string? UserId, DateTimeOffset? From, DateTimeOffset? To) : IRequest<Result<Page<Line>>>;

    /// <param name="Actor">"key", "platform" (the operator) or "system" (the platform by itself).</param>
    /// <param name="Address">Where the request came from.</param>
    public sealed record Line(
        string Id, DateTimeOffset At, string Actor, string? UserId, string? KeyId, string? Address, string Action, string SubjectId, JsonElement? Detail);

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Page<Line>>>
    {
        public async Task<Result<Page<Line>>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (request.Page.Refusal is { } refusal)
            {
                return refusal;
            }

            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Row>(new(
                """
                SELECT id, at, actor, user_id, key_id, address, action, subject_id, detail::text FROM platform.audit
                WHERE tenant_id = @TenantId AND (@After::text IS NULL OR id < @After)
                  AND (@Action::text IS NULL OR action = @Action) AND (@SubjectId::text IS NULL OR subject_id = @SubjectId) AND (@UserId::text IS NULL OR user_id = @UserId)
                  AND (@From::timestamptz IS NULL OR at >= @From) AND (@To::timestamptz IS NULL OR at < @To)
                ORDER BY id DESC LIMIT @Rows
                """,
                new
                {
                    request.TenantId, After = request.Page.StartingAfter, request.Action, request.SubjectId, request.UserId,
                    From = request.From?.UtcDateTime, To = request.To?.UtcDateTime, Rows = request.Page.Rows + 1,
                },
                cancellationToken: cancellationToken))).ToList();
            return Page<Line>.Of(
                rows.ConvertAll(r => new Line(
                    r.Id, r.At, r.Actor, r.UserId, r.KeyId, r.Address, r.Action, r.SubjectId, r.Detail is null ? null : Json.Read<JsonElement>(r.Detail))),
                request.Page.Rows,
                l => l.Id);
        }

        private sealed record Row
        {
            public required string Id { get; init; }
            public DateTimeOffset At { get; init; }
            public required string Actor { get; init; }
            public string? UserId { get; init; }
            public string? KeyId { get; init; }
            public string? Address { get; init; }
            public required string Action { get; init; }
            public required string SubjectId { get; init; }
            public string? Detail { get; init; }
        }
    }
}
