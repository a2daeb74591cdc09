using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>Sends a webhook.test event to this webhook, whatever events it asked for.</summary>
internal static class TestWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapPost("/{id}/test", async (string id, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status202Accepted)))
        .WithName(nameof(TestWebhook))
        .Produces<Response>(StatusCodes.Status202Accepted);

    public sealed record Command(string WebhookId) : ICommand<Response>;

    public sealed record Response(string EventId);

    internal sealed class Handler(TenantDb db, EventLog events, Caller caller) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            var webhook = await db.Webhooks.AsNoTracking().SingleOrDefaultAsync(
                w => w.Id == command.WebhookId && w.TenantId == caller.TenantId && w.DeletedAt == null, cancellationToken);
            if (webhook is not { DisabledAt: null })
            {
                return webhook is null ? TenantErrors.WebhookNotFound : TenantErrors.WebhookDisabled;
            }

            var test = new Announce(caller.TenantId, EventTypes.WebhookTest, webhook.Id, Json.Write(new { webhook_id = webhook.Id }), caller.IsTest);
            return new Response(await events.AppendAsync(test, cancellationToken, webhook.Id));
        }
    }
}
