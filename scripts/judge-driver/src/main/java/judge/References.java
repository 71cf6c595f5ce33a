package judge;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.model.CanonicalType;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidationPolicyAdvisor;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;

/**
 * References are judged by their type alone: it must be one that the element allows. Nothing is fetched, because
 * whether a target exists is the registry's matter.
 */
final class References extends FhirDefaultPolicyAdvisor implements IValidatorResourceFetcher {
  private static final Pattern TYPED = Pattern.compile("(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[^/]+)?$");

  @Override
  public ReferenceValidationPolicy policyForReference(
      IResourceValidator validator,
      Object appContext,
      String path,
      String url,
      IValidationPolicyAdvisor.ReferenceDestinationType destinationType) {
    return ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS;
  }

  /** An empty resource of the type that the URL names. */
  @Override
  public Element fetch(IResourceValidator validator, Object appContext, String url) {
    Matcher named = TYPED.matcher(url);
    return named.find() ? new Element(named.group(1)).setType(named.group(1)) : null;
  }

  @Override
  public boolean resolveURL(
      IResourceValidator validator,
      Object appContext,
      String path,
      String url,
      String type,
      boolean canonical,
      List<CanonicalType> targets) {
    return true;
  }

  @Override
  public byte[] fetchRaw(IResourceValidator validator, String url) {
    return null;
  }

  @Override
  public IValidatorResourceFetcher setLocale(Locale locale) {
    return this;
  }

  @Override
  public CanonicalResource fetchCanonicalResource(IResourceValidator validator, Object appContext, String url) {
    return null;
  }

  @Override
  public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
    return false;
  }

  @Override
  public Set<String> fetchCanonicalResourceVersions(IResourceValidator validator, Object appContext, String url) {
    return Set.of();
  }
}
