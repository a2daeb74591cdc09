using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>Changes the tenant's name or the address for mail about it.</summary>
internal static class UpdateTenant
{
    public static void Map(RouteGroupBuilder tenant) => tenant
        .MapPatch("/", async (Body body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(body.Name, body.ContactEmail, Etag.Wanted(http)), ct)).ToHttp(r => TenantAnswer.Tell(r, http)))
        .WithName(nameof(UpdateTenant))
        .Produces<TenantView>();

    /// <summary>What is left out stays as it is; an empty contact_email takes it away.</summary>
    public sealed record Body(string? Name = null, string? ContactEmail = null);

    public sealed record Command(string? Name, string? ContactEmail, string IfMatch) : ICommand<TenantAnswer>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Name).NotEmpty().MaximumLength(Data.Tenant.NameMaxLength).When(c => c.Name is not null);
            RuleFor(c => c.ContactEmail).MaximumLength(User.EmailMaxLength).EmailAddress().When(c => !string.IsNullOrEmpty(c.ContactEmail));
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<TenantAnswer>>
    {
        public async Task<Result<TenantAnswer>> Handle(Command command, CancellationToken cancellationToken)
        {
            var tenant = await db.Tenants.SingleAsync(t => t.Id == caller.TenantId, cancellationToken);
            if (Etag.Refusal(command.IfMatch, tenant.Revision) is { } changed)
            {
                return changed;
            }

            var before = new { tenant.Name, tenant.ContactEmail };
            tenant.Change(command.Name?.Trim() ?? tenant.Name, command.ContactEmail is null ? tenant.ContactEmail : command.ContactEmail.Length == 0 ? null : command.ContactEmail, clock.GetUtcNow());
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateConcurrencyException)
            {
                return TenantErrors.ChangedMeanwhile;
            }

            await audit.NoteAsync("tenant.updated", tenant.Id, new { before, after = new { tenant.Name, tenant.ContactEmail } }, cancellationToken);
            return TenantAnswer.Of(tenant);
        }
    }
}
