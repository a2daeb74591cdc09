using Dapper;
using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>Sends the events of a time again: those that did not arrive (the webhook's outages included), or all.</summary>
internal static class ReplayWebhook
{
    private const string Failed = "failed";
    private const string All = "all";

    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapPost("/{id}/replay", async (string id, Range range, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, range.From, range.To, range.EventTypes, range.Status), ct))
                .ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status202Accepted)))
        .WithName(nameof(ReplayWebhook))
        .Produces<Response>(StatusCodes.Status202Accepted);

    /// <param name="From">Of the events' created_at; included.</param>
    /// <param name="To">Not included; now when left out.</param>
    /// <param name="EventTypes">Only these; all the webhook asks for when left out.</param>
    /// <param name="Status">failed (the default): what has not arrived; all: what has arrived too.</param>
    public sealed record Range(DateTimeOffset? From, DateTimeOffset? To = null, IReadOnlyList<string>? EventTypes = null, string? Status = null);

    public sealed record Command(string WebhookId, DateTimeOffset? From, DateTimeOffset? To, IReadOnlyList<string>? EventTypes, string? Status) : ICommand<Response>;

    /// <param name="Count">How many events there are to send.</param>
    public sealed record Response(string Id, string WebhookId, DateTimeOffset From, DateTimeOffset To, string Status, long Count);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.From).NotNull();
            RuleFor(c => c.To).Must((c, to) => to is null || to > c.From).WithMessage("'to' must be later than 'from'.");
            RuleFor(c => c.Status).Must(s => s is null or Failed or All).WithMessage("'status' is failed or all.");
            this.AreEventFilters(c => c.EventTypes);
        }
    }

    internal sealed class Handler(
        TenantDb db, UnitOfWork unit, Caller caller, AuditLog audit, [FromKeyedServices(typeof(Replayer))] WakeUp replayer, TimeProvider clock)
        : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.LockWebhookAsync(command.WebhookId, cancellationToken) is not { } webhook || webhook.TenantId != caller.TenantId)
            {
                return TenantErrors.WebhookNotFound;
            }

            if (webhook.DisabledAt is not null)
            {
                return TenantErrors.WebhookDisabled;
            }

            var now = clock.GetUtcNow();
            var (from, to) = (command.From!.Value, command.To ?? now);
            var replay = new
            {
                Id = Ids.New(Ids.Replay, now),
                caller.TenantId,
                command.WebhookId,
                First = Ids.First(Ids.Event, from),
                Last = Ids.First(Ids.Event, to),
                EventTypes = (command.EventTypes ?? []).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray(),
                OnlyFailed = command.Status is not All,
                Now = now,
            };

            // The same range asked for again while it is being queued is the same replay.
            var id = await unit.Connection.ExecuteScalarAsync<string>(new(
                """
                INSERT INTO tenant.replays AS r (id, tenant_id, webhook_id, first_event, last_event, event_types, only_failed, cursor, created_at)
                VALUES (@Id, @TenantId, @WebhookId, @First, @Last, @EventTypes, @OnlyFailed, @First, @Now)
                ON CONFLICT ON CONSTRAINT replays_once DO UPDATE SET cursor = r.cursor RETURNING id
                """, replay, unit.Transaction, cancellationToken: cancellationToken));
            var count = await unit.Connection.ExecuteScalarAsync<long>(new($"SELECT count(*) {Replayer.Wanted}", replay, unit.Transaction, cancellationToken: cancellationToken));
            await audit.NoteAsync("webhook.replayed", webhook.Id, new { from, to, status = command.Status ?? Failed, count }, cancellationToken);
            unit.AfterCommit(replayer.Wake);
            return new Response(id!, webhook.Id, from, to, command.Status ?? Failed, count);
        }
    }
}
