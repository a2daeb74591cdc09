using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Forgets a secret.</summary>
internal static class DeleteSecret
{
    public static void Map(RouteGroupBuilder secrets) => secrets
        .MapDelete("/{name}", async (string name, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(name, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteSecret))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string Name, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (await db.Secrets.SingleOrDefaultAsync(s => s.TenantId == caller.TenantId && s.Name == command.Name, cancellationToken) is not { } secret)
            {
                return TenantErrors.SecretNotFound;
            }

            if (Etag.Refusal(command.IfMatch, secret.Revision) is { } changed)
            {
                return changed;
            }

            db.Secrets.Remove(secret);
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateConcurrencyException)
            {
                return TenantErrors.ChangedMeanwhile;
            }

            await audit.NoteAsync("secret.deleted", secret.Name, null, cancellationToken);
            return default(Done);
        }
    }
}
